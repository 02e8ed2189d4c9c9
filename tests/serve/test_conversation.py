"""The protocol without a connection: bytes in, bytes out, and every trap of the known clients."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from by_hand import END, Frame, audio_header, block, float32, float_map, header, kind, number, read, sound

from audio2face.errors import UserError
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.inference.emotion import EmotionNames
from audio2face.model_folder import DeployedModel
from audio2face.serve import wire
from audio2face.serve.conversation import (
    DATA_AFTER_END,
    NO_HEADER,
    SLICE_FRAMES,
    Conversation,
    Limits,
    RefusedError,
    work_together,
)
from audio2face.serve.emotion import RequestedEmotion
from audio2face.serve.faces import Face, FaceOptions, open_faces
from audio2face.serve.parameters import EmotionTuning
from audio2face.serve.stream_animation import time_code

Speech = Callable[..., bytes]


def talk(face: Face, messages: Iterable[bytes], limits: Limits | None = None) -> tuple[list[Frame], Conversation]:
    """Sends all messages, and works after each."""
    conversation, frames = Conversation(face, limits or Limits()), []
    for message in messages:
        conversation.accept(message)
        while conversation.has_work:
            (made,) = work_together([conversation.take()])
            if isinstance(made, Exception):
                raise made
            assert len(made) <= SLICE_FRAMES
            frames += [Frame(frame.data) for frame in made]
    return frames, conversation


def cut(data: bytes, *sizes: int) -> list[bytes]:
    """Messages with pieces of some lengths, the last with the rest."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [sound(piece) for piece in (*pieces, data[at:])]


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_pieces_of_any_length_give_the_same_frames_and_the_sound_comes_back(
    face: Face, speech: Speech, rate: int
) -> None:
    data = speech(1.4, rate)
    whole, _ = talk(face, [header(rate), sound(data), END])
    pieces, _ = talk(face, [header(rate), *cut(data, 1, 0, 333, 20_001, 7), END])
    assert [frame.weights for frame in pieces] == [frame.weights for frame in whole]
    assert len({frame.weights for frame in whole}) > 30  # they move
    for frames in (whole, pieces):
        assert b"".join(frame.sound for frame in frames) == data
        assert [math.ceil(frame.time * 30) for frame in frames] == list(range(42))
    assert {len(frame.sound) // 2 for frame in whole[:-1]} <= {rate // 30, rate // 30 + 1}


def test_frames_are_those_of_animate(face: Face, models: dict[str, Path], speech: Speech, tmp_path: Path) -> None:
    data = speech(1.0)
    soundfile.write(tmp_path / "a.wav", np.frombuffer(data, "<i2"), 16_000)
    pipeline = AnimationPipeline(DeployedModel.open(models["diffusion"]), AnimationOptions(actor="ada", fps=face.fps))
    animation = pipeline.animate(tmp_path / "a.wav", tmp_path)
    assert animation.skin_weights is not None
    frames, _ = talk(face, [header(), sound(data), END])
    places = [face.names.index(name[0].upper() + name[1:]) for name in animation.skin_weights.names]
    served = np.array([frame.weights for frame in frames])[:, places]
    np.testing.assert_allclose(served, animation.skin_weights.values, atol=1e-6)
    assert np.abs(served).max() > 0.01


def test_the_header_names_the_weights_and_echoes_the_sound(face: Face) -> None:
    conversation = Conversation(face, Limits())
    conversation.accept(header(44_100))
    answer = read(read(conversation.header)[1][0])
    assert read(answer[1][0]) == read(audio_header(44_100)[2:])  # format 0 is not written
    names = [name.decode() for name in read(answer[2][0])[1]]
    assert (names[0], names[17], names[51], names[52], names[67], len(names)) == (
        *("EyeBlinkLeft", "JawOpen", "TongueOut", "TongueTipUp", "TongueNarrow"),
        68,
    )


@pytest.mark.parametrize(("names", "last"), [(52, "TongueOut"), (55, "HeadYaw")])
def test_other_lists_of_names(models: dict[str, Path], names: int, last: str) -> None:
    face = open_faces([models["regression"]], FaceOptions(names=names))["ada"]  # type: ignore[arg-type]
    assert (len(face.names), face.names[-1]) == (names, last)


@pytest.mark.parametrize(
    ("messages", "code", "text"),
    [
        ([sound(b"ab")], "INVALID_ARGUMENT", NO_HEADER),
        ([END], "INVALID_ARGUMENT", NO_HEADER),
        ([header(), header()], "INVALID_ARGUMENT", "second header"),
        ([header(), b""], "INVALID_ARGUMENT", "neither a header"),
        ([header(), sound(bytes(40_000))], "RESOURCE_EXHAUSTED", "longer than 1 s"),
    ],
)
def test_a_wrong_order_is_refused(face: Face, messages: list[bytes], code: str, text: str) -> None:
    with pytest.raises(RefusedError, match=text) as caught:
        talk(face, messages, Limits(seconds=1.0))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"\x0a\xff", "cannot be decoded"),
        (block(1, block(1, audio_header(channels=2))), "2 channels"),
        (block(1, block(1, audio_header(kind=3))), "format 3"),
        (block(1, b""), "0 channels"),
        (header(7999), "7,999 samples"),
        (header(face=float_map(1, {"skinStrenght": 1.0})), "no face parameter 'skinStrenght'"),
        (header(face=float_map(1, {"skinStrength": 2.5})), "from 0 to 2"),
        (header(face=float_map(1, {"skinStrength": math.nan})), "from 0 to 2"),
        (header(weights=float_map(1, {"JawOpne": 1.0})), "no blend shape 'JawOpne'"),
        (header(weights=float_map(2, {"JawOpen": math.inf})), "offset of blend shape 'JawOpen'"),
        (header(post=float32(5, 1.5)), "emotion_strength"),
        (header(post=number(6, 7)), "max_emotions"),
        (header(emotion=float_map(2, {"joy": -1.0})), "the emotion 'joy'"),
    ],
)
def test_what_is_wrong_is_said(face: Face, message: bytes, text: str) -> None:
    with pytest.raises(UserError, match=text):
        Conversation(face, Limits()).accept(message)


def test_data_after_the_end_and_half_a_sample_are_warned_of(face: Face) -> None:
    _, conversation = talk(face, [header(), sound(bytes(32_001)), END, sound(b"ab"), sound(b"ab")])
    assert conversation.warnings == [
        "The audio ends within a sample; its last byte was ignored.",
        DATA_AFTER_END,
    ]


def test_no_sound_at_all_gives_no_frames(face: Face) -> None:
    frames, conversation = talk(face, [header(), END])
    assert (frames, conversation.is_done) == ([], True)


def test_multipliers_and_offsets_replace_those_of_the_model(models: dict[str, Path], speech: Speech) -> None:
    """The model multiplies mouthRight by 1.5; this shape is not solved, so that its weight is its offset."""
    face = open_faces([models["diffusion"]], FaceOptions())["ada"]
    jaw, right = face.names.index("JawOpen"), face.names.index("MouthRight")
    plain, _ = talk(face, [header(), sound(speech(0.6)), END])
    weights = float_map(1, {"JawOpen": -2.0}) + float_map(2, {"mouthRight": 0.25, "HeadYaw": 1.0})
    tuned, _ = talk(face, [header(weights=weights), sound(speech(0.6)), END])
    clipped, _ = talk(face, [header(weights=weights + number(3, 1)), sound(speech(0.6)), END])
    before = np.array([frame.weights[jaw] for frame in plain])
    assert before.max() > 0.01
    np.testing.assert_allclose([frame.weights[jaw] for frame in tuned], -2 * before, rtol=1e-6)
    assert {frame.weights[right] for frame in tuned} == {0.25}
    assert {frame.weights[jaw] for frame in clipped} == {0.0}


def test_face_parameters_change_the_face(face: Face, speech: Speech) -> None:
    """Under the names of clients, old and new; without skin_strength nothing moves."""
    given = float_map(1, {"skinStrength": 0.0, "blinkStrength": 0.0, "eyelid_offset": 0.0, "prediction_delay": 0.2})
    frames, conversation = talk(
        face, [header(face=given + block(2, block(1, b"blinkOffset"))), sound(speech(0.6)), END]
    )
    assert len({frame.weights for frame in frames[5:]}) == 1
    assert conversation.request is not None
    assert conversation.request.notes == ("the face parameter prediction_delay has no effect",)


def test_emotions_of_known_clients(face: Face, speech: Speech) -> None:
    """The sample client sends all keys first; Maya sends some that no model has, and times that are too late."""
    keys = [(0.0, {"joy": 1.0, "out_of_breath": 0.5}), (0.5, {"joy": 0.0}), (1e9, {"anger": 1.0})]
    frames, conversation = talk(face, [header(), sound(speech(1.2), keys), END])
    joy = [frame.requested["joy"] for frame in frames]
    assert (joy[0], joy[15]) == (1.0, pytest.approx(0.0, abs=1e-3))
    np.testing.assert_allclose(np.diff(joy[:15]), -1 / 15, rtol=2e-3)
    assert frames[0].smoothed["joy"] == 1.0
    assert 0.2 < frames[15].smoothed["joy"] < 0.8  # it follows
    assert conversation.warnings == ["The model has no emotion 'out_of_breath'; it was ignored."]


def test_without_emotions_the_model_has_its_own(face: Face, speech: Speech) -> None:
    frames, _ = talk(face, [header(post=float32(5, 0.5)), sound(speech(0.6)), END])
    assert frames[3].smoothed == {"joy": 0.0, "anger": 1.0}
    begun, _ = talk(face, [header(post=float32(5, 0.5), emotion=float_map(2, {"joy": 1.0})), sound(speech(0.6)), END])
    assert begun[3].smoothed == {"joy": 0.5, "anger": 0.0}


def test_a_change_of_emotion_is_followed_as_the_sdk_does() -> None:
    """w = dt / transition: a = w new + (1 - w) a."""
    names = EmotionNames(("joy",), (0.0,), "neutral", 100, FaceOptions().fps)
    emotion = RequestedEmotion(names, EmotionTuning(transition=0.4, strength=0.5), longest=10)
    emotion.request(0.0, {"joy": 0.0})
    assert emotion.at([0, 10]).ravel().tolist() == [0, 0]
    emotion.request(0.05, {"joy": 1.0})  # too late: from now on
    np.testing.assert_allclose(emotion.at([20, 30, 90]).ravel(), [0.125, 0.21875, 0.5], rtol=1e-6)


def test_clients_find_the_number_of_a_frame_by_rounding_its_time_up() -> None:
    assert math.ceil(31 / 30 * 30) == 32  # the trap
    assert all(math.ceil(time_code(frame, 30.0) * 30.0) == frame for frame in range(5000))


def test_damaged_messages_are_refused_and_nothing_else_happens(face: Face, speech: Speech) -> None:
    """Damage to a stream is either refused in words or has no effect; `fuzz` runs for as long as one likes."""
    assert fuzz(face, speech(0.1), 120, 3) > 20


def fuzz(face: Face, data: bytes, rounds: int, seed: int) -> int:
    """Sends damaged streams; returns how many were refused."""
    chance, refused = random.Random(seed), 0
    parameters = {
        "face": float_map(1, {"skinStrength": 1.0}),
        "post": float32(1, 1.0) + number(6, 3),
        "weights": float_map(1, {"JawOpen": 1.0}) + number(3, 1),
        "emotion": float32(1, 0.5) + float_map(2, {"joy": 1.0}),
    }
    for _ in range(rounds):
        messages = [header(**parameters), sound(data, [(0.0, {"joy": 1.0})]), END]
        place = chance.randrange(3)
        damaged = bytearray(messages[place])
        for _ in range(chance.randint(1, 4)):
            if damaged and chance.random() < 0.8:
                damaged[chance.randrange(min(len(damaged), 200))] = chance.randrange(256)
            else:
                del damaged[chance.randrange(len(damaged) + 1) :]
        messages[place] = bytes(damaged)
        try:
            talk(face, messages, Limits(seconds=5))
        except UserError:
            refused += 1
    return refused


def test_frames_have_the_bytes_that_protobuf_writes() -> None:
    for seconds, sound_data, length in ((0.0, b"", 52), (4.3, bytes(3000), 68), (0.1, b"ab", 1)):
        weights = np.linspace(-1, 2, length, dtype=np.float32)
        maps = [wire.emotion_map(("joy", "anger"), strengths) for strengths in ((0.0, 0.25), (1.0, 0.5))]
        emotions = wire.emotion_aggregate(seconds, *maps)
        made = wire.frame(seconds, weights, sound_data, emotions)
        again = wire.parse("controller.AnimationDataStream", made)
        assert again.SerializeToString(deterministic=True) == made
        (found,) = again.animation_data.skel_animation.blend_shape_weights
        assert (found.time_code, again.animation_data.audio.audio_buffer) == (seconds, sound_data)
        assert np.array_equal(np.array(found.values, np.float32), weights)
        entry = again.animation_data.metadata["emotion_aggregate"]
        assert (entry.type_url, entry.value) == (wire.EMOTION_AGGREGATE, emotions)
        aggregate = wire.parse("emotion.EmotionAggregate", emotions)
        assert dict(aggregate.input_emotions[0].emotion) == {"joy": 0.0, "anger": 0.25}
        assert dict(aggregate.a2f_smoothed_output[0].emotion) == {"joy": 1.0, "anger": 0.5}


def test_what_is_wrong_with_one_stream_stays_with_it(live_faces: dict[str, Face], speech: Speech) -> None:
    """Of three streams that share calls, one has an invalid emotion, and one damaged network output."""
    talks = [Conversation(live_faces["ada"], Limits()) for _ in range(3)]
    for conversation, keys in zip(talks, ([(0.0, {"joy": 7.0})], [], []), strict=True):
        conversation.accept(header())
        conversation.accept(sound(speech(0.3), keys))
    talks[1].open().stream.accept = _refuse  # type: ignore[method-assign]
    wrong, damaged, made = work_together([conversation.take() for conversation in talks])
    assert "'joy'" in str(wrong)
    assert str(damaged) == "NaN"
    assert isinstance(made, list)
    alone, _ = talk(live_faces["ada"], [header(), sound(speech(0.3))])
    assert [Frame(frame.data).weights for frame in made] == [frame.weights for frame in alone]


def _refuse(windows: object, values: object) -> None:
    raise UserError("NaN")


def test_what_an_answer_is() -> None:
    assert [kind(block(field, b"")) for field in (1, 2, 3, 4)] == ["header", "frame", "event", "status"]
