"""Sequences of frames and their batches: times of frames, cached features, and order."""

from __future__ import annotations

import itertools
import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_actor import EVERY_SHOT, configuration

from audio2face.audio import read_track
from audio2face.config import TrainRegression
from audio2face.errors import UserError
from audio2face.models import encoders
from audio2face.training.data import features
from audio2face.training.data.audio import noise
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.features import FeatureCache
from audio2face.training.data.samplers import SequenceBatchSpec, SequenceSampler, TimeShiftGrid, frames_in_order
from audio2face.training.data.sequences import SequenceBatch, SequenceLoader
from audio2face.training.signals import InterruptHandler

RATE, SAMPLES = 16_000, 8320
MUTED = [["ann", ["s2_joy", 9], 12, "joy"], ["ann", ["s1_neutral", 3], 7, "neutral"]]


def plan(clip: int, start: int, shift: float = 0.0, variant: int = 0) -> SequenceBatchSpec:
    return SequenceBatchSpec(0, np.array([clip]), np.array([start]), np.array([shift]), np.array([variant]))


class Opened:
    """Data of the small actor for regression."""

    def __init__(self, reference_data: Path, workspace: Path, **changes: Any) -> None:
        dataset = reference_data / "preproc/dataset"
        setup = configuration(dataset, workspace, ("ann",), changes, "regression")
        assert isinstance(setup.train, TrainRegression)
        self.train = setup.train
        self.data = TrainingData.open(setup.dataset, setup.train, sequence_frames=setup.train.SEQ_LEN)
        self.loader, self.sampler = self.data.sequences(setup.train, TimeShiftGrid(1.0), batch_size=8)

    def load(self, *where: Any) -> SequenceBatch:
        return self.loader.load(plan(*where))


@pytest.fixture
def opened(reference_data: Path, workspace: Path) -> Opened:
    return Opened(reference_data, workspace, AUG_MUTED_SHOTS=MUTED, SEQ_LEN=3)


def values_of(opened: Opened, shot: str) -> np.ndarray:
    return np.concatenate(opened.data.motions[shot].parts, axis=1)


# --- time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 4, -7, 0.5, -1.5])
def test_a_frame_is_centred_in_its_window(offset: float, reference_data: Path, workspace: Path) -> None:
    rows = [("ann", "s4_neutral", (5, 104), "ann", "en", "s4_neutral.wav", offset)]
    opened = Opened(reference_data, workspace, CLIPS=rows)
    whole = read_track(reference_data / "preproc/dataset/audio/s4_neutral.wav")
    first = 5 + math.ceil(max(-offset, 0))
    for start, shift in ((0, 0.0), (40, 0.3), (41, -0.5)):
        batch = opened.load(0, start, shift)
        assert batch.audio.shape == (1, 2, SAMPLES)
        for index in range(2):
            frame = first + start + index
            begin = round((((frame + 0.5) + offset) / 30 + shift / 30) * RATE) - 4160
            assert np.array_equal(batch.audio[0, index], whole.read(begin, begin + SAMPLES))
            position = np.clip(frame + shift, 0, 109)
            low, share = math.floor(position), position % 1
            values = values_of(opened, "s4_neutral")
            expected = (1 - share) * values[low] + share * values[min(low + 1, 109)]
            assert np.allclose(batch.values[0, index], expected, atol=1e-6)
        shots = {shot.id: shot.first_global_frame for shot in opened.data.shots}
        assert batch.frames[0].tolist() == [
            shots["s4_neutral"] + first + start,
            shots["s4_neutral"] + first + start + 1,
        ]
        assert float(batch.norm_factor) == whole.norm_factor


def test_the_face_freezes_beyond_the_ends_of_a_shot(opened: Opened) -> None:
    values = values_of(opened, "s1_neutral")
    assert np.array_equal(opened.load(0, 0, -0.5).values[0, 0], values[0])
    assert np.array_equal(opened.load(0, 117, 0.5).values[0, -1], values[-1])


def test_muted_shots_have_faint_noise_and_no_motion(opened: Opened) -> None:
    clip = next(i for i, clip in enumerate(opened.loader.clips) if clip.shot.id == "muted_s2_joy_9")
    batch = opened.load(clip, 2, 0.0, 77)
    assert np.allclose(batch.values[0], values_of(opened, "s2_joy")[9])
    assert float(batch.norm_factor) == 1.0
    gain = np.random.default_rng([43, clip, 77]).random()
    for index in range(3):
        rng = np.random.default_rng([43, clip, 77, 2 + index])  # of each frame by itself
        hiss = noise(SAMPLES, RATE, "mic", 0.1 * gain, rng).astype(np.float32)
        assert np.array_equal(batch.audio[0, index], hiss)
    assert not torch.equal(batch.audio, opened.load(clip, 2, 0.0, 78).audio)
    neutral = next(i for i, clip in enumerate(opened.loader.clips) if clip.shot.emotion == "neutral" and not clip.audio)
    resting = opened.load(neutral, 0).values[0, :, : opened.data.sources[0].info.counts["num_shapes_skin"]]
    assert not resting.any()
    assert opened.load(clip, 0).emotion.tolist() == [[1.0, 0.0]]


def test_clips_too_short_for_a_sequence_are_skipped(reference_data: Path, workspace: Path) -> None:
    rows = [EVERY_SHOT[0], ("ann", "s2_joy", (3, 4), "ann", "en", "s2_joy.wav", 0)]
    opened = Opened(reference_data, workspace, CLIPS=rows, SEQ_LEN=3)
    assert [str(clip) for clip in opened.loader.clips] == ["s1_neutral [0, 119]"]


def test_jaw_and_eyes_are_scaled_as_configured(reference_data: Path, workspace: Path) -> None:
    plain, scaled = (Opened(reference_data, workspace, RESCALE_TARGET_CHANNEL_DATA=on) for on in (False, True))
    info = plain.data.sources[0].info
    shapes = info.counts["num_shapes_skin"] + info.counts["num_shapes_tongue"]
    one, other = plain.load(0, 50).values, scaled.load(0, 50).values
    assert torch.equal(one[..., :shapes], other[..., :shapes])
    torch.testing.assert_close(one[..., shapes:-4], info.scale["jaw"] * other[..., shapes:-4])
    torch.testing.assert_close(one[..., -4:], info.scale["eye"] * other[..., -4:])


# --- order -------------------------------------------------------------------------------------------------------


def sampler(batch_size: int = 6, **changes: Any) -> SequenceSampler:
    frames, muted = [10, 2, 1, 7], [False, True, False, False]
    return SequenceSampler(
        clip_frames=frames,
        clip_muted=muted,
        length=2,
        stride=3,
        shifts=TimeShiftGrid(1.0),
        batch_size=batch_size,
        order_seed=1,
        draw_seed=2,
        **changes,
    )


def items(plans: Any) -> list[tuple[int, int, float, int]]:
    rows = [zip(p.clips, p.starts, p.time_shifts, p.augmentation_ids, strict=True) for p in plans]
    return [(int(clip), int(start), float(shift), int(variant)) for row in rows for clip, start, shift, variant in row]


def test_an_epoch_goes_through_every_sequence_once() -> None:
    drawn = items(sampler().epoch(3))
    every = [(0, 0), (0, 3), (0, 6), (1, 0), (3, 0), (3, 3)]  # the third clip has none
    assert sorted((clip, start) for clip, start, *_ in drawn) == every
    assert all((shift == 0) == (clip == 1) and abs(shift) <= 0.5 for clip, _, shift, _ in drawn)
    assert drawn != items(sampler().epoch(4))
    assert [p.position for p in sampler(4).epoch(5, 1)] == [11]


def test_a_position_determines_the_batch() -> None:
    one = sampler(2)
    later = items(one.epoch(1, 2))
    assert items(one.epoch(1))[4:] == later == items(sampler(2).epoch(1, 2))


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_a_batch(world_size: int) -> None:
    shared = [sampler(world_size * 4, rank=rank, world_size=world_size) for rank in range(world_size)]
    whole = sampler(world_size * 4)
    assert shared[0].batches_per_epoch == whole.batches_per_epoch
    for position in range(4):
        plans = [own.batch_spec(position) for own in shared]
        parts = [[] if own.is_padding else items([own]) for own in plans]
        drawn = [item for turn in itertools.zip_longest(*parts) for item in turn if item is not None]
        assert drawn == items([whole.batch_spec(position)])
        assert all(len(own.clips) for own in plans)
    with pytest.raises(ValueError, match="shared equally"):
        sampler(3, world_size=2)


def test_time_shifts_on_a_grid() -> None:
    assert TimeShiftGrid(1.0, 1).grid.tolist() == [0.0]
    assert TimeShiftGrid(1.0, 4).grid.tolist() == [-0.375, -0.125, 0.125, 0.375]
    shifts, variants = TimeShiftGrid(2.0, 3).draw(50, np.random.default_rng(0))
    assert set(variants.tolist()) == {0, 1, 2}
    assert np.array_equal(shifts, TimeShiftGrid(2.0, 3).grid[variants])
    with pytest.raises(ValueError, match="not on a grid"):
        _ = TimeShiftGrid(1.0).grid


def test_validation_goes_through_clips_in_order() -> None:
    plans = frames_in_order([5, 2], 3)
    assert [(p.clips.tolist(), p.starts.tolist()) for p in plans] == [
        ([0] * 3, [0, 1, 2]),
        ([0] * 2, [3, 4]),
        ([1] * 2, [0, 1]),
    ]
    assert not any(p.time_shifts.any() for p in plans)


def test_sample_ids_name_the_clip_and_frame(opened: Opened) -> None:
    batch = opened.load(1, 4)
    assert batch.sample_ids == ("s2_joy [0, 94] at 4",)
    assert batch.num_frames == 3
    idle = opened.loader.load(replace(plan(1, 4), is_padding=True))
    assert not idle.sample_ids
    assert idle.num_frames == 0


# --- cached features


class CountingExtractor:
    """Counts the windows that it extracts features of."""

    def __init__(self) -> None:
        self.encoder = encoders.build("logmel", {"width": 8})
        self.num_windows = 0

    def store(self, folder: Path) -> FeatureCache:
        return FeatureCache(folder, self.encoder, self.extract, torch.device("cpu"))

    @torch.no_grad()
    def extract(self, audio: torch.Tensor) -> torch.Tensor:
        windows = audio.flatten(0, -2)
        self.num_windows += len(windows)
        return self.encoder.hidden_layers(windows)


@pytest.fixture
def extractor() -> CountingExtractor:
    torch.manual_seed(1)
    return CountingExtractor()


def with_features(opened: Opened, extractor: CountingExtractor, folder: Path, shifts: TimeShiftGrid) -> SequenceLoader:
    features = extractor.store(folder).prepare(opened.loader.windows, shifts.grid)
    return replace(opened.loader, features=features)


def test_features_are_those_of_the_windows(opened: Opened, extractor: CountingExtractor, tmp_path: Path) -> None:
    shifts = TimeShiftGrid(1.0, 3)
    loader = with_features(opened, extractor, tmp_path, shifts)
    frames = sum(loader.clip_frames)
    assert extractor.num_windows == 3 * frames
    for clip, start, variant in ((0, 7, 0), (2, 20, 2), (len(loader.clips) - 1, 1, 1)):
        shift = 0.0 if loader.clips[clip].audio is None else float(shifts.grid[variant])
        batch = loader.load(plan(clip, start, shift, variant))
        expected = extractor.extract(batch.audio).transpose(0, 1)
        assert batch.hidden is not None
        assert batch.hidden.shape == (3, 1, 27, 8)
        torch.testing.assert_close(batch.hidden.float(), expected, rtol=1e-3, atol=1e-3)


def test_features_are_extracted_once_per_recording_and_encoder(
    opened: Opened, extractor: CountingExtractor, tmp_path: Path
) -> None:
    with_features(opened, extractor, tmp_path, TimeShiftGrid(0.0, 1))
    frames, extractor.num_windows = sum(opened.loader.clip_frames), 0
    with_features(opened, extractor, tmp_path, TimeShiftGrid(0.0, 1))
    assert extractor.num_windows == 0
    files = sorted(tmp_path.glob("*.npy"))
    assert len(files) == len(opened.loader.clips)
    files[0].write_bytes(files[0].read_bytes()[:1000])  # a file that is cut off is made again
    with_features(opened, extractor, tmp_path, TimeShiftGrid(0.0, 1))
    assert 0 < extractor.num_windows < frames
    extractor.num_windows = 0
    with torch.no_grad():
        next(extractor.encoder.parameters()).add_(1e-3)  # another encoder
    with_features(opened, extractor, tmp_path, TimeShiftGrid(0.0, 1))
    assert extractor.num_windows == frames
    assert len(list(tmp_path.glob("*.npy"))) == 2 * len(files)


def test_features_of_another_version_are_not_read(
    opened: Opened, extractor: CountingExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_features(opened, extractor, tmp_path, TimeShiftGrid(0.0, 1))
    first, extractor.num_windows = set(tmp_path.glob("*.npy")), 0
    monkeypatch.setattr(features, "_VERSION", b"3: otherwise")
    with_features(opened, extractor, tmp_path, TimeShiftGrid(0.0, 1))
    assert extractor.num_windows == sum(opened.loader.clip_frames)
    assert len(set(tmp_path.glob("*.npy")) - first) == len(first)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_extraction_at_once_and_keeps_whole_clips(
    opened: Opened, extractor: CountingExtractor, tmp_path: Path, number: int
) -> None:
    folder = tmp_path / "features"

    def extract(audio: torch.Tensor) -> torch.Tensor:
        if len(list(folder.glob("*.npy"))) == 2:
            signal.raise_signal(number)
        return CountingExtractor.extract(extractor, audio)

    store = replace(extractor.store(folder), extract_hidden_states=extract)
    with InterruptHandler() as stop, stop.deferred(), pytest.raises(KeyboardInterrupt):
        store.prepare(opened.loader.windows, np.zeros(1))
    assert stop.received == number
    kept = set(folder.iterdir())
    assert len(kept) == 2  # the files of whole clips, and nothing else
    assert all(path.suffix == ".npy" for path in kept)
    times, extractor.num_windows = {path: path.stat().st_mtime_ns for path in kept}, 0
    extractor.store(folder).prepare(opened.loader.windows, np.zeros(1))
    assert 0 < extractor.num_windows < sum(opened.loader.clip_frames)
    assert {path: path.stat().st_mtime_ns for path in kept} == times


def test_processes_share_the_extraction(
    opened: Opened, extractor: CountingExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []
    monkeypatch.setattr(features, "wait_for_all", lambda: waited.append(len(list(tmp_path.glob("*.npy")))))
    with pytest.raises(UserError, match="cannot be read back"):  # whose share is missing here
        extractor.store(tmp_path).prepare(opened.loader.windows, np.zeros(1), rank=0, world_size=2)
    assert waited == [3]
    extractor.store(tmp_path).prepare(opened.loader.windows, np.zeros(1), rank=1, world_size=2)
    assert extractor.num_windows == sum(opened.loader.clip_frames)
