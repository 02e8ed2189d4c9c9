"""Sources of the phones of clips, and the windows of phones that training takes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile
import torch
from lightning_fabric import Fabric

from audio2face.config import Configuration, Roots, TrainRegression
from audio2face.config.values import freeze, merge
from audio2face.config_base.tables import base_of
from audio2face.errors import FileFormatError, UserError
from audio2face.models.encoders import MissingWeightsError
from audio2face.models.phonemes import ENGLISH, SILENCE, Detector, PhoneSet, row_count
from audio2face.training.data import phonemes
from audio2face.training.data.clips import TrainingClip, TrainingShot
from audio2face.training.data.phonemes import PhonemeCache, PhonemeTables, phoneme_tables

HERE = Fabric(accelerator="cpu", devices=1)


class CountingDetector:
    """A detector that recognises AA everywhere, and records the text of each call."""

    phones = PhoneSet((SILENCE, "AA", "B"))
    identity = "counting"

    def __init__(self) -> None:
        self.texts: list[str | None] = []

    def detect(self, samples: np.ndarray, text: str | None) -> np.ndarray:
        self.texts.append(text)
        table = np.zeros((row_count(len(samples) / 16_000), 3), np.float32)
        table[:, 1] = 1
        return table


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> CountingDetector:
    """Replaces the detector of English."""
    detector = CountingDetector()

    def open_one(name: str, language: str, **_: Any) -> Detector:
        if language == "en":
            return detector
        raise MissingWeightsError(f"no weights of {name}", hint="Get them.")

    monkeypatch.setattr(phonemes, "open_detector", open_one)
    return detector


def configuration(root: Path, **changes: Any) -> Configuration:
    """For one actor with recordings in `audio` and, for some shots, times in `phonemes`."""
    full: dict[str, dict[str, Any]] = {}
    for name in ("dataset", "train"):
        base = base_of(name, "regression")  # type: ignore[arg-type]
        own = {key: value for key, value in changes.items() if key in base.types}
        full[name] = merge(base.defaults, own)
    full["dataset"] |= {"ACTOR_NAMES": ["ann"], "PHONEME_TIMES_ROOT": {"ann": str(root / "phonemes")}}
    return Configuration(
        name="small",
        stage="train",
        actors=("ann",),
        network_type="regression",
        roots=Roots(datasets=root, workspace=root / "workspace"),
        modifiers=freeze({}),
        full=freeze(full),
    )


def clip(root: Path, name: str, language: str = "en", seconds: float = 1.0) -> TrainingClip:
    """A clip with a recording of its own."""
    audio = root / f"audio/{name}.wav"
    audio.parent.mkdir(exist_ok=True)
    soundfile.write(audio, np.random.default_rng(len(name)).uniform(-0.1, 0.1, round(seconds * 16_000)), 16_000)
    shot = TrainingShot(name, "ann", name, 30, 30.0, "neutral", 0)
    return TrainingClip(shot, 0, 29, "ann", language, audio)


def muted() -> TrainingClip:
    """A clip of a muted shot."""
    return TrainingClip(
        TrainingShot("muted", "ann", "s", 30, 30.0, "neutral", 0, frozen_frame=3), 0, 29, "ann", "", None
    )


def give_times(root: Path, name: str, *rows: tuple[float, float, str]) -> None:
    """Writes the phone times of a shot."""
    path = root / f"phonemes/{name}.txt"
    path.parent.mkdir(exist_ok=True)
    lines = ["start\tend\tphone", *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def rank_of_two(rank: int) -> Fabric:
    """What phonemes need to know of one of two processes."""
    return cast("Fabric", SimpleNamespace(device=torch.device("cpu"), global_rank=rank, world_size=2))


def make(root: Path, clips: list[TrainingClip], fabric: Fabric = HERE, **changes: Any) -> PhonemeTables | None:
    """The tables of clips."""
    setup = configuration(root, **changes)
    assert isinstance(setup.train, TrainRegression)
    return phoneme_tables(clips, setup.dataset, setup.train, fabric)


def named(tables: PhonemeTables, item: int, time: float) -> list[str]:
    """The phones in the window around a time of a clip."""
    rows = tables.rows([item], [[time]])
    assert rows.shape == (1, 1, 25)
    phones = tables.phones[tables.languages[int(tables.language_of_clip[item])]]
    return [phones.symbols[column] for column in tables.values[rows[0, 0]].argmax(axis=1)]


def test_given_phone_times_take_precedence_over_recognition(tmp_path: Path, detector: CountingDetector) -> None:
    clips = [clip(tmp_path, "one"), muted(), clip(tmp_path, "three"), clip(tmp_path, "four", seconds=2.0)]
    give_times(tmp_path, "one", (0.0, 0.5, "SIL"), (0.5, 1.0, "b"))
    tables = make(tmp_path, clips)
    assert tables is not None
    assert len(detector.texts) == 2
    assert tables.languages == ("en",)
    assert tables.phones["en"] == CountingDetector.phones
    assert tables.language_of_clip.tolist() == [0, 0, 0, 0]
    assert tables.num_rows.tolist() == [49, 0, 49, 99]
    assert named(tables, 0, 0.5) == [SILENCE] * 12 + ["B"] * 13
    assert named(tables, 0, 0.95) == ["B"] * 15 + [SILENCE] * 10
    assert named(tables, 1, 123.0) == [SILENCE] * 25
    assert named(tables, 2, 0.0) == [SILENCE] * 12 + ["AA"] * 13
    assert named(tables, 3, 0.99) == ["AA"] * 25
    batch = tables.values[tables.rows([3, 0, 1], np.zeros((3, 2)))]
    assert batch.shape == (3, 2, 25, 3)
    assert (batch.sum(axis=-1) == 1).all()


def test_given_phone_times_need_no_recogniser(tmp_path: Path, detector: CountingDetector) -> None:
    give_times(tmp_path, "one", (0.0, 0.5, "SIL"), (0.5, 1.0, "aɪ"))
    tables = make(tmp_path, [clip(tmp_path, "one")])
    assert tables is not None
    assert detector.texts == []
    assert tables.phones["en"] == ENGLISH
    assert named(tables, 0, 0.8)[12] == "AY"


def test_recognised_phones_are_cached(tmp_path: Path, detector: CountingDetector) -> None:
    clips = [clip(tmp_path, "one"), clip(tmp_path, "three"), clip(tmp_path, "one")]
    first = make(tmp_path, clips)
    assert len(detector.texts) == 2
    again = make(tmp_path, clips, PHONEME_DATA_CACHING=False)
    assert len(detector.texts) == 2
    assert first is not None
    assert again is not None
    assert isinstance(again.values, np.memmap)
    np.testing.assert_array_equal(first.values, again.values)
    kept = sorted((tmp_path / "workspace/torch_cache/phonemes").iterdir())
    for path in kept:
        path.write_bytes(b"torn")
    (tmp_path / "audio/three.txt").write_text("what is said\n")
    for _ in range(2):
        make(tmp_path, clips)
        assert detector.texts[2:] == [None, "what is said"]


def test_languages_without_a_recogniser_are_skipped(
    tmp_path: Path, detector: CountingDetector, caplog: pytest.LogCaptureFixture
) -> None:
    clips = [
        clip(tmp_path, "one", "zh"),
        clip(tmp_path, "three"),
        clip(tmp_path, "four", "zh"),
        clip(tmp_path, "x", "fr"),
    ]
    tables = make(tmp_path, clips, PHONEME_FORCING_LANGS=["zh", "en"])
    assert tables is not None
    assert tables.languages == ("en",)
    assert tables.language_of_clip.tolist() == [-1, 0, -1, -1]
    assert not tables.values[tables.rows([0, 3], np.full((2, 3), 0.5))].any()
    assert np.isfinite(tables.values).all()
    warnings = [record.message for record in caplog.records]
    assert len(warnings) == 2
    assert "2 recordings in 'zh' have no phoneme loss: no weights of charsiu-zh. Get them." in warnings[0]
    assert "'fr'" in warnings[1]


def test_given_times_keep_a_language_without_a_recogniser(tmp_path: Path, detector: CountingDetector) -> None:
    give_times(tmp_path, "one", (0.0, 0.5, "sh"), (0.5, 1.0, "i4"))
    clips = [clip(tmp_path, "one", "zh"), clip(tmp_path, "four", "zh")]
    tables = make(tmp_path, clips, PHONEME_FORCING_LANGS=["zh"])
    assert tables is not None
    assert tables.phones["zh"].symbols == (SILENCE, "i4", "sh")
    assert tables.language_of_clip.tolist() == [0, -1]


def test_two_languages_share_a_table(tmp_path: Path, detector: CountingDetector) -> None:
    give_times(tmp_path, "one", (0.0, 1.0, "sh"))
    tables = make(
        tmp_path, [clip(tmp_path, "one", "zh"), clip(tmp_path, "three"), muted()], PHONEME_FORCING_LANGS=["zh", "en"]
    )
    assert tables is not None
    assert tables.language_of_clip.tolist() == [0, 1, 0]
    assert tables.values.shape[1] == 3
    assert named(tables, 0, 0.5)[12] == "sh"
    assert named(tables, 1, 0.5)[12] == "AA"
    assert named(tables, 1, -9.0)[12] == SILENCE


def test_phoneme_losses_can_be_switched_off(tmp_path: Path, detector: CountingDetector) -> None:
    clips = [clip(tmp_path, "one")]
    assert make(tmp_path, clips, PHONEME_FORCING_LANGS=[]) is None
    assert make(tmp_path, clips, LOSS_PHONEME_ALPHA=None) is None
    assert make(tmp_path, [muted()]) is None
    assert detector.texts == []


def test_wrong_options_are_user_errors(tmp_path: Path, detector: CountingDetector) -> None:
    give_times(tmp_path, "one", (0.0, 0.5, "qq"))
    with pytest.raises(UserError, match=r"one.txt: 'qq' is no phone of 'en'(?s:.*)or IPA"):
        make(tmp_path, [clip(tmp_path, "one")])
    (tmp_path / "phonemes/one.txt").write_text("nonsense")
    with pytest.raises(FileFormatError, match="does not start with the columns"):
        make(tmp_path, [clip(tmp_path, "one")])


def test_unknown_recogniser(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no phoneme recogniser 'ears' for 'en'(?s:.*)pocketsphinx, charsiu-en"):
        make(tmp_path, [clip(tmp_path, "one")], PHONEME_DETECTORS={"en": ["ears"]})


def test_processes_share_the_recognition(
    tmp_path: Path, detector: CountingDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each recognises its share before it waits; after that everything is read."""
    clips = [clip(tmp_path, "s" * (number + 1)) for number in range(5)]
    recognised: list[int] = []

    def wait() -> None:
        recognised.append(len(detector.texts))
        if len(recognised) == 1:  # the other process has done its share by now
            cache = PhonemeCache(tmp_path / "cache/phonemes")
            for other in clips[1::2]:
                assert other.audio is not None
                cache.table(CountingDetector(), other.audio)

    monkeypatch.setattr(phonemes, "wait_for_all", wait)
    changes = {"TORCH_CACHE_ROOT": str(tmp_path / "cache")}
    first = make(tmp_path, clips, rank_of_two(0), **changes)
    assert recognised == [3]
    assert len(detector.texts) == 3  # nothing is recognised twice
    second = make(tmp_path, clips, rank_of_two(1), **changes)
    assert len(detector.texts) == 3
    assert first is not None
    assert second is not None
    assert np.array_equal(first.values, second.values)
