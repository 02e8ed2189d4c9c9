"""The example actors' motion: lips that meet, tongue and eyes that follow, and a dataset that is whole or made anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from example_takes import spoken_by_ada

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_INDEX
from audio2face.errors import UserError
from audio2face.example import make
from audio2face.example.contact import contacts, flesh_deltas
from audio2face.example.expression import (
    BLINK_KEYS,
    FPS,
    Performance,
    add_performance,
    blink_curve,
)
from audio2face.example.gaze import add_blinks, saccade_table
from audio2face.example.head import IDENTITIES, Float32Array, Head
from audio2face.example.recording import Take, all_takes
from audio2face.example.sentences import EMOTIONS, SENTENCES, SILENCE, Phone
from audio2face.example.speech import Utterance
from audio2face.example.visemes import BILABIALS, LABIODENTALS, articulate, known_phones, visemes_of
from audio2face.geometry import find_cache, list_shots, open_cache

AT_REST = np.zeros((1, len(ARKIT_NAMES)), np.float32)


@pytest.fixture(scope="module")
def utterances() -> list[Utterance]:
    return spoken_by_ada()


@pytest.fixture(scope="module", params=IDENTITIES)
def performed(request: pytest.FixtureRequest, utterances: list[Utterance]) -> tuple[Head, list[Performance]]:
    head = Head.open(request.param)
    return head, [
        add_performance(utterance, take.sentence.emotion, head, np.random.default_rng(take.seed))
        for utterance, take in zip(utterances, all_takes(), strict=True)
    ]


def frames_of(phone: Phone, num_frames: int, margin: int) -> slice:
    first, last = int(phone.start * FPS) - margin, int(phone.end * FPS) + margin
    return slice(max(first, 0), min(last + 1, num_frames))


def peak(phones: str, name: str) -> float:
    """Largest weight of a shape or tongue shape while these phones, 0.1 s each, are said."""
    silence = Phone(SILENCE, 0.0, 0.3)
    said = [Phone(symbol, 0.3 + 0.1 * index, 0.4 + 0.1 * index) for index, symbol in enumerate(phones)]
    end = Phone(SILENCE, said[-1].end, said[-1].end + 0.3)
    skin, tongue = articulate([silence, *said, end], round(end.end * FPS), FPS)
    curve = skin[:, ARKIT_INDEX[name]] if name in ARKIT_INDEX else tongue[:, TONGUE_INDEX[name]]
    return float(curve.max())


def test_lips_meet_on_every_bilabial(performed: tuple[Head, list[Performance]], utterances: list[Utterance]) -> None:
    """In some frame of each p, b, m or next to it, the widest of the five gaps is at most 0.3 mm above neutral."""
    head, performances = performed
    widest = []
    for utterance, performance in zip(utterances, performances, strict=True):
        gap = head.lip_gap(performance.weights) - head.lip_gap(AT_REST)
        for phone in utterance.phones:
            if phone.symbol in BILABIALS:
                widest.append(gap[frames_of(phone, len(gap), margin=1)].max(axis=1).min())
    assert len(widest) > 200
    assert max(widest) <= 0.3


def test_lower_lip_reaches_the_upper_teeth(
    performed: tuple[Head, list[Performance]], utterances: list[Utterance]
) -> None:
    head, performances = performed
    teeth = head.upper_teeth_part.vertices
    edge = teeth[np.abs(teeth[:, 0]) < 0.5, 1].min()
    for utterance, performance in zip(utterances, performances, strict=True):
        middle = head.skin(performance.weights, head.lip_dist["lower"][2:3])[:, 0, 1]
        for phone in utterance.phones:
            if phone.symbol in LABIODENTALS:
                assert middle[frames_of(phone, len(middle), margin=1)].max() > edge - 0.1


def test_speech_opens_the_mouth_without_excess(performed: tuple[Head, list[Performance]]) -> None:
    head, performances = performed
    opened = np.array([head.lip_gap(performance.weights).max() for performance in performances])
    assert opened.min() > 6
    assert opened.max() < 20
    for performance in performances:
        assert performance.weights.min() >= 0
        assert performance.weights.max() <= 1
        assert head.lip_gap(performance.weights).min() > -4


def test_shortest_bilabial_gets_a_frame() -> None:
    """A p of 12 ms between two frame centres still closes, in the nearest frame."""
    phones = [Phone(SILENCE, 0.0, 0.52), Phone("p", 0.52, 0.532), Phone("æ", 0.532, 1.0)]
    (contact,) = contacts(phones, BILABIALS, 30, FPS)
    np.testing.assert_array_equal(contact.frames, [15])
    assert contact.closeness[15] == 1
    assert contact.closeness[20] == 0


def test_lips_stay_shut_ahead_of_a_first_bilabial() -> None:
    phones = [Phone(SILENCE, 0.0, 0.5), Phone("m", 0.5, 0.6), Phone("ɑ", 0.6, 1.0)]
    (contact,) = contacts(phones, BILABIALS, 30, FPS)
    np.testing.assert_array_equal(contact.closeness[11:18], 1.0)


def test_visemes() -> None:
    assert peak("u", "mouthPucker") > 0.5 > 0.1 > peak("i", "mouthPucker")
    assert peak("w", "mouthPucker") > 0.5
    assert peak("ʃ", "mouthFunnel") > 0.3 > 0.1 > peak("s", "mouthFunnel")
    assert peak("i", "mouthStretchLeft") > 0.15
    assert peak("ɑ", "jawOpen") > 2 * peak("i", "jawOpen")
    for tip in "tdnl":
        assert peak(tip, "tongueTipUp") > 0.6
    for velar in "kɡ":
        assert peak(velar, "tongueUp") > 0.5
    for dental in "θð":
        assert peak(dental, "tongueStretch") > 0.35 > 0.1 > peak("t", "tongueStretch")


def test_coarticulation() -> None:
    """An s is rounded before u and spread before i, and the louder the voice, the wider the mouth."""
    assert peak("su", "mouthPucker") > peak("si", "mouthPucker") + 0.3
    phones = [Phone(SILENCE, 0.0, 0.3), Phone("ɑ", 0.3, 0.5), Phone(SILENCE, 0.5, 1.0)]
    soft, loud = (articulate(phones, 30, FPS, effort)[0].max() for effort in (0.8, 1.2))
    assert loud > 1.3 * soft


def test_every_viseme_insists() -> None:
    for symbol in known_phones():
        for viseme in visemes_of(symbol):
            assert min(viseme.insistence.values()) > 0
            assert all(0 < target <= 1 for target in viseme.targets.values())


def test_blinks_shut_the_lids(performed: tuple[Head, list[Performance]]) -> None:
    head, performances = performed
    shut = np.array([head.lid_gap(performance.weights).max(axis=1).min() for performance in performances])
    open_wide = np.array([np.median(head.lid_gap(performance.weights)) for performance in performances])
    assert np.mean(shut < 2.0) > 0.7
    assert open_wide.min() > 4
    assert BLINK_KEYS[0] == BLINK_KEYS[-1] == 0
    assert max(BLINK_KEYS) == 1


def test_blinks_come_every_few_seconds() -> None:
    shut = blink_curve(round(60 * FPS), FPS, np.random.default_rng(3)) > 0.5
    begins = np.flatnonzero(np.diff(shut.astype(int)) == 1) / FPS
    assert 8 <= len(begins) <= 30
    assert np.diff(begins).min() > 1.9


def test_blinks_leave_nothing_else_on_the_lids() -> None:
    weights = np.full((1, len(ARKIT_NAMES)), 0.4)
    blinking = add_blinks(weights, np.ones(1))
    assert blinking[0, ARKIT_INDEX["eyeBlinkLeft"]] == 1
    assert blinking[0, ARKIT_INDEX["eyeWideRight"]] == 0
    assert blinking[0, ARKIT_INDEX["jawOpen"]] == 0.4


def test_eyes_fixate_and_jump(performed: tuple[Head, list[Performance]]) -> None:
    for performance in performed[1]:
        steps = np.abs(np.diff(performance.eye_rotations[:, 0], axis=0)).max(axis=1)
        assert np.mean(steps < 1e-6) > 0.6
    pitch_down = np.concatenate([performance.eye_rotations[:, 1, 0] for performance in performed[1]])
    lids = np.concatenate([performance.weights[:, ARKIT_INDEX["eyeLookDownRight"]] for performance in performed[1]])
    assert lids[pitch_down < 0].max() < 1e-6
    assert lids[pitch_down > 4].max() > 0.2


def test_saccade_table() -> None:
    table = saccade_table(np.random.default_rng(0))
    assert table.shape == (5000, 2)
    assert table.dtype == np.float32
    assert 0.3 < table.std() < 2
    assert np.abs(table).max() < 6


def test_flesh_is_small_and_of_full_rank(performed: tuple[Head, list[Performance]]) -> None:
    head, performances = performed
    deltas: Float32Array = flesh_deltas(head, performances[0].weights, FPS, np.random.default_rng(0))
    size = np.linalg.norm(deltas, axis=2)
    assert 0.001 < np.sqrt(np.square(size).mean()) < 0.02
    assert size.max() < 0.1
    assert np.linalg.matrix_rank(deltas[:, ::40].reshape(len(deltas), -1)) >= 60
    lips = deltas[:, head.lip_dist["upper"], 1] - deltas[:, head.lip_dist["lower"], 1]
    assert 10 * np.abs(lips).max() < 0.1


# The dataset on disk, of two sentences.


@pytest.fixture
def two_takes(monkeypatch: pytest.MonkeyPatch) -> list[Take]:
    """Only two short sentences, recorded in this process."""
    takes = [Take(1, SENTENCES[6], False), Take(1, SENTENCES[7], True)]

    def work_here(work: Callable[..., Any], jobs: list[tuple[Any, ...]], most: int) -> Iterator[Any]:
        del most
        yield from (work(*job) for job in jobs)

    monkeypatch.setattr(make, "all_takes", lambda: takes)
    monkeypatch.setattr(make, "run_jobs", work_here)
    return takes


def digests(folder: Path) -> dict[str, str]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_dataset_is_the_same_every_time(tmp_path: Path, two_takes: list[Take]) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        make.make_example(root, actors=("ben",), progress=False)
    assert digests(first) == digests(second)


def test_files_agree(tmp_path: Path, two_takes: list[Take]) -> None:
    (folder,) = make.make_example(tmp_path, actors=("ada",), progress=False)
    head = Head.open("ada")
    for place, take in zip((folder, folder / "unseen"), two_takes, strict=True):
        shot = take.shot("ada")
        assert take.sentence.emotion in shot
        assert [emotion for emotion in EMOTIONS if emotion in shot] == [take.sentence.emotion]
        assert list_shots(place / "cache" / "skin") == [shot]
        skin = open_cache(find_cache(place / "cache" / "skin", shot).path)
        tongue = open_cache(find_cache(place / "cache" / "tongue", shot).path)
        sound = soundfile.info(place / "audio" / f"{shot}.wav")
        assert sound.subtype == "PCM_16"
        assert skin.num_frames / FPS == pytest.approx(sound.duration, abs=1e-3)
        assert skin.num_verts == len(head.skin_part.vertices)
        assert (tongue.num_frames, tongue.num_verts) == (skin.num_frames, len(head.tongue_part.vertices))
        with np.load(place / "xform" / "jaw_keypoints_cache_all.npz") as jaw:
            assert jaw[shot].shape == (skin.num_frames, 5, 3)
        with np.load(place / "xform" / "eye_rotations_all.npz") as eyes:
            assert eyes[shot].shape == (skin.num_frames, 2, 2)
        table = (place / "phonemes" / f"{shot}.txt").read_text(encoding="utf-8").splitlines()
        assert table[0] == "start\tend\tphone"
        assert float(table[-1].split("\t")[1]) == pytest.approx(sound.duration, abs=1e-3)


def test_blendshape_files_follow_the_contract(tmp_path: Path, two_takes: list[Take]) -> None:
    (folder,) = make.make_example(tmp_path, actors=("ada",), progress=False)
    for mesh, count in (("skin", 52), ("tongue", 16)):
        with np.load(folder / "bs_data" / f"bs_{mesh}.npz") as data:
            names = data["poseNames"]
            assert names.dtype.kind == "S"
            assert len(names) == count + 1
            assert names[0] == b"neutral"
            assert all(data[name.decode()].dtype == np.float32 for name in names)
            assert {array.dtype.kind for array in data.values()} <= {"S", "f", "i"}
        config = json.loads((folder / "bs_data" / f"bs_{mesh}_config.json").read_text())["blendshape_params"]
        assert config["numPoses"] == count
        for key in ("bsSolveCancelPoses", "bsSolveSymmetryPoses"):
            ids = [number for number in config[key] if number != -1]
            assert all(ids.count(number) == 2 for number in ids)
    skin = json.loads((folder / "bs_data" / "bs_skin_config.json").read_text())["blendshape_params"]
    assert max(skin["bsSolveSymmetryPoses"]) == 13
    assert sum(skin["bsSolveActivePoses"]) == 52 - 9


def test_whole_dataset_is_left_alone_and_a_spoiled_one_made_anew(tmp_path: Path, two_takes: list[Take]) -> None:
    (folder,) = make.make_example(tmp_path, actors=("ada",), progress=False)
    times = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    make.make_example(tmp_path, actors=("ada",), progress=False)
    assert times == {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    before = digests(folder)
    wav = folder / "audio" / f"{two_takes[0].shot('ada')}.wav"
    wav.write_bytes(wav.read_bytes()[:1000])
    (folder / "cache" / "skin" / "stale.npy").write_bytes(b"")
    assert not make.is_complete(folder)
    make.make_example(tmp_path, actors=("ada",), progress=False)
    assert digests(folder) == before


def test_interrupted_dataset_is_not_whole(
    tmp_path: Path, two_takes: list[Take], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(make, "_write_motions", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make.make_example(tmp_path, actors=("ada",), progress=False)
    assert not make.is_complete(tmp_path / "ada")
    make.make_example(tmp_path, actors=("ada",), progress=False)
    assert make.is_complete(tmp_path / "ada")


def test_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ada" / "audio").mkdir(parents=True)
    (tmp_path / "ada" / "audio" / "mine.wav").write_bytes(b"mine")
    with pytest.raises(UserError, match="is not an example dataset"):
        make.make_example(tmp_path, actors=("ada",), progress=False)
    assert (tmp_path / "ada" / "audio" / "mine.wav").read_bytes() == b"mine"


def test_unknown_actor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'zoe'"):
        make.make_example(tmp_path, actors=("zoe",), progress=False)


@pytest.mark.slow
def test_whole_dataset(tmp_path: Path) -> None:
    ada, ben = make.make_example(tmp_path, progress=False)
    assert len(list_shots(ada / "cache" / "skin")) == len(SENTENCES)
    assert len(list_shots(ben / "cache" / "skin")) >= 15
    assert len(list_shots(ben / "unseen" / "cache" / "skin")) == 2
    seconds = sum(soundfile.info(wav).duration for wav in (ada / "audio").iterdir())
    assert 180 < seconds < 260
    formats = {find_cache(ada / "cache" / "skin", shot).path.suffix for shot in list_shots(ada / "cache" / "skin")}
    assert formats == {".npy", ".xml", ".pc2", ".mdd"}
    assert {soundfile.info(wav).samplerate for wav in (ada / "audio").iterdir()} == {16000, 24000, 44100, 48000}
