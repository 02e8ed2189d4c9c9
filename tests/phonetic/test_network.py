"""The encoder a2f-phonetic in NumPy and in PyTorch: causal, equal in pieces, equal in both, and right about speech."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from speech import SHOTS, speech

from audio2face.audio.mel import MEL_RATE
from audio2face.dataset.phoneme_times import SILENCE
from audio2face.errors import FileFormatError
from audio2face.inference.visemes import (
    CLOSED,
    LOOKAHEAD_SECONDS,
    STEPS_PER_SECOND,
    VISEME_CHANNELS,
    VisemeStream,
    recorded_visemes,
    viseme_channels,
)
from audio2face.models import encoders
from audio2face.phonetic.classes import ATTRIBUTES, POSTERIORS
from audio2face.phonetic.front_end import WINDOW, FrontEnd
from audio2face.phonetic.network import (
    FILES,
    FIRST_SAMPLE,
    RECEPTIVE_SAMPLES,
    STEP_SAMPLES,
    causal_network,
    read_weights,
    weights_path,
)
from audio2face.synthesis.labels import label_steps
from audio2face.types import Float32Array

ROOT = Path(__file__).parents[2]
MAX_BYTES = 3_000_000
CLOSURE, JAW = VISEME_CHANNELS.index("closure"), VISEME_CHANNELS.index("jaw")


def talk() -> Float32Array:
    """Some seconds in five languages, some of them quiet."""
    parts = [speech(shot)[0] * level for shot, level in zip(SHOTS[::3], (1.0, 0.1, 1.0, 0.3, 0.02), strict=False)]
    return np.concatenate(parts)


def test_the_future_beyond_the_look_ahead_changes_no_bit() -> None:
    samples = talk()
    changed = samples.copy()
    cut = 60 * STEP_SAMPLES + 7
    changed[cut:] = np.random.default_rng(0).standard_normal(len(samples) - cut)
    deaf = (cut - RECEPTIVE_SAMPLES) // STEP_SAMPLES + 1  # steps that end before the change
    for encode in (_numpy_channels, _torch_features):
        one, other = encode(samples), encode(changed)
        assert np.array_equal(one[:deaf], other[:deaf])
        assert not np.array_equal(one[deaf], other[deaf])


def _numpy_channels(samples: Float32Array) -> Float32Array:
    return viseme_channels(samples, MEL_RATE).channels


def _torch_features(samples: Float32Array) -> Float32Array:
    with torch.no_grad():
        features: Float32Array = encoders.create("a2f-phonetic")(torch.from_numpy(samples)[None])[0].numpy()
    return features


def test_the_bidirectional_one_hears_to_both_sides() -> None:
    samples = talk()[: 4 * MEL_RATE]
    changed = samples.copy()
    middle = len(samples) // 2
    changed[middle : middle + STEP_SAMPLES] += 0.1
    encoder = encoders.create("a2f-phonetic-bidirectional")
    with torch.no_grad():
        one, other = (encoder(torch.from_numpy(heard)[None])[0].numpy() for heard in (samples, changed))
    differing = np.flatnonzero((one != other).any(axis=1))
    assert differing[0] < middle // STEP_SAMPLES - 20
    assert differing[-1] > middle // STEP_SAMPLES + 20


@pytest.mark.parametrize("count", [0, 100, STEP_SAMPLES, 5 * STEP_SAMPLES + 7, 4 * MEL_RATE])
def test_the_bidirectional_one_is_the_same_in_numpy(count: int) -> None:
    samples = talk()[:count]
    found, spoken = recorded_visemes(samples, MEL_RATE)
    assert len(found.channels) == len(spoken) == count // STEP_SAMPLES
    if not len(spoken):
        return
    encoder = encoders.create("a2f-phonetic-bidirectional", options={"layers": (2,)})
    with torch.no_grad():
        computed = encoder(torch.from_numpy(samples)[None])[0].numpy()
    plain = [index for index, name in enumerate(VISEME_CHANNELS) if name not in ("closure", "labiodental")]
    channels = np.clip(computed[:, -len(VISEME_CHANNELS) :], 0, 1)
    np.testing.assert_allclose(found.channels[:, plain], channels[:, plain], atol=1e-4)
    np.testing.assert_allclose(spoken, 1 - computed[:, 0], atol=1e-4)  # the first manner is silence


@pytest.mark.parametrize("name", ["a2f-phonetic", "a2f-phonetic-bidirectional"])
def test_steps_describe_the_time_that_the_encoder_tells(name: str) -> None:
    """The manner that is heard agrees best with that of the labels when neither is shifted against the other."""
    encoder = encoders.create(name, options={"layers": (2,)})
    assert encoder.info.first_step_seconds == 0.5 / STEPS_PER_SECOND
    right = dict.fromkeys(range(-2, 3), 0)
    for shot in SHOTS:
        samples, phones = speech(shot)
        with torch.no_grad():
            heard = encoder(torch.from_numpy(samples)[None])[0, :, : ATTRIBUTES["manner"]].argmax(1).numpy()
        spoken = label_steps(phones, len(heard)).classes[:, 0]
        for shift in right:
            right[shift] += int((np.roll(heard, shift) == spoken).sum())
    assert max(right, key=lambda shift: right[shift]) == 0
    assert right[0] > 0.7 * sum(len(speech(shot)[0]) // STEP_SAMPLES for shot in SHOTS)


def test_the_look_ahead_is_at_most_66_milliseconds_with_the_reading_between_steps() -> None:
    assert LOOKAHEAD_SECONDS == (RECEPTIVE_SAMPLES - FIRST_SAMPLE) / MEL_RATE == 0.04
    assert LOOKAHEAD_SECONDS + 1 / STEPS_PER_SECOND <= 0.066


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_stream_gives_what_the_whole_gives(rate: int) -> None:
    samples = np.repeat(talk(), rate // MEL_RATE)
    whole = viseme_channels(samples, rate)
    assert whole.channels.shape == (len(samples) * MEL_RATE // rate // STEP_SAMPLES, len(VISEME_CHANNELS))
    assert (whole.names, whole.steps_per_second) == (VISEME_CHANNELS, 50)
    rng, stream, parts, start = np.random.default_rng(1), VisemeStream(rate), [], 0
    while start < len(samples):
        length = int(rng.choice([1, 160, 333, 2_000]))
        parts.append(stream.push(samples[start : start + length]))
        assert len(stream.speech) == len(parts[-1])
        start += length
        known = min(start, len(samples)) * MEL_RATE // rate - (0 if rate == MEL_RATE else 32)
        assert sum(map(len, parts)) >= (known - RECEPTIVE_SAMPLES) // STEP_SAMPLES + 1
    pieces = np.concatenate([*parts, stream.finish()])
    np.testing.assert_allclose(pieces, whole.channels, atol=1e-5)


def test_numpy_and_torch_agree() -> None:
    samples = talk()
    encoder = encoders.create("a2f-phonetic", options={"layers": (2,)})
    assert encoder.info.width == POSTERIORS + len(VISEME_CHANNELS)
    with torch.no_grad():
        features = encoder(torch.from_numpy(samples)[None])[0].numpy()
    channels = viseme_channels(samples, MEL_RATE).channels
    assert VISEME_CHANNELS[-2:] == ("closure", "labiodental")  # doubled, so that 0.5 is as likely as not
    expected = features[:, POSTERIORS:] * np.array([1.0] * (len(VISEME_CHANNELS) - 2) + [2.0] * 2)
    np.testing.assert_allclose(np.clip(expected, 0, 1), channels, atol=4e-5)
    stream = VisemeStream()
    stream.push(samples)
    np.testing.assert_allclose(1 - features[: len(stream.speech), 0], stream.speech, atol=2e-5)


def test_layers_are_joined() -> None:
    samples = torch.from_numpy(talk()[None, :16_000])
    with torch.no_grad():
        found = {
            layers: encoders.create("a2f-phonetic", options={"layers": layers})(samples)
            for layers in ((), (0,), (1,), (2,))
        }
    assert torch.equal(found[()], torch.cat([found[1,], found[2,]], dim=-1))
    assert found[0,].shape == (1, 50, 144)


def test_level_does_not_matter() -> None:
    samples = speech("en_low")[0]
    loud, quiet = (viseme_channels(samples * np.float32(level), MEL_RATE).channels for level in (1.0, 0.05))
    assert np.abs(loud - quiet).mean() < 0.002  # they differ at the onset, where the quiet one is near silence


def test_long_and_short_pieces_hear_the_same_level() -> None:
    """The greatest level of the last 20 s is found by two routes: in few frames directly, in many by doubling."""
    rng = np.random.default_rng(0)
    samples = (rng.standard_normal(160 * (WINDOW + 500)) * np.repeat(rng.random(WINDOW + 500) ** 8, 160)).astype(
        np.float32
    )
    whole, pieces = FrontEnd(), FrontEnd()
    parts = [pieces.push(samples[start : start + 800]) for start in range(0, len(samples), 800)]
    np.testing.assert_allclose(np.concatenate(parts), whole.push(samples), atol=1e-4)


def test_lips_close_in_closures_and_nowhere_else() -> None:
    """In the languages of the fixtures, whose sentences are not among the encoder's."""
    shut, apart = [], []
    for shot in SHOTS:
        samples, phones = speech(shot)
        closure = viseme_channels(samples, MEL_RATE).channels[:, CLOSURE]
        middles = (np.arange(len(closure)) + 0.5) / STEPS_PER_SECOND
        for phone in phones:
            inside = (middles >= phone.start) & (middles < phone.end)
            if phone.symbol in ("p", "b", "m"):
                shut.append(closure[inside].max(initial=0.0))
            elif phone.symbol != SILENCE and inside.any():
                apart.append(np.median(closure[inside]))
    assert np.mean(np.array(shut) >= CLOSED) > 0.9
    assert np.mean(np.array(apart) < CLOSED) > 0.9


def test_the_mouth_rests_where_nobody_speaks() -> None:
    rng = np.random.default_rng(3)
    times = np.arange(5 * MEL_RATE) / MEL_RATE
    sounds = {
        "silence": np.zeros(len(times)),
        "noise": 0.05 * rng.standard_normal(len(times)),
        "hum": sum(0.05 / k * np.sin(2 * np.pi * 100 * k * times) for k in range(1, 8)),
    }
    spoken = viseme_channels(speech("en_low")[0], MEL_RATE).channels[:, JAW]
    for name, sound in sounds.items():
        stream = VisemeStream()
        channels = stream.push(sound.astype(np.float32))
        assert stream.speech[25:].mean() < 0.3, name
        assert channels[25:, JAW].mean() < 0.3 * spoken.mean(), name


def test_the_weights_are_small_and_described() -> None:
    card = (weights_path().parent / "a2f_phonetic.md").read_text(encoding="utf-8")
    present = [path for direction in FILES if (path := weights_path(direction)).is_file()]
    assert sum(path.stat().st_size for path in present) <= MAX_BYTES
    for path in present:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    for part in ("eSpeak NG", "GPL-3.0", "hibari-tts", "Apache-2.0", "Languages", "tools/train_phonetic_encoder.py"):
        assert part in card


def test_damaged_weights_are_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    whole = weights_path().read_bytes()
    for content in (b"\x08", b"\xff" * 64, b"\x02" + bytes(7) + b"[]", whole[:5_000], whole[:-2]):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match="weights of a speech encoder"):
            read_weights(path)
    with pytest.raises(FileFormatError):
        read_weights(tmp_path / "missing")


def test_visemes_need_no_torch() -> None:
    code = (
        "import sys, numpy as np; from audio2face.inference.visemes import viseme_channels\n"
        "viseme_channels(np.zeros(16_000, np.float32), 16_000)\n"
        "raise SystemExit(sorted({'torch', 'safetensors'} & set(sys.modules)) != [])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_nothing_is_nothing() -> None:
    assert viseme_channels(np.zeros(0, np.float32), 44_100).channels.shape == (0, len(VISEME_CHANNELS))
    assert viseme_channels(np.zeros(319, np.float32), MEL_RATE).channels.shape == (0, len(VISEME_CHANNELS))
    state = causal_network().start()
    assert causal_network().advance(state, np.zeros((0, 80), np.float32)).scores.shape == (0, POSTERIORS)
