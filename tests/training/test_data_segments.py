"""Segments, batches and targets: times of frames, and batches determined by their position."""

from __future__ import annotations

import itertools
import json
import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_actor import EVERY_SHOT, Configure, add_run
from torch.nn import functional

from audio2face.audio import read_track
from audio2face.config import Configuration, TrainDiffusion
from audio2face.models.diffusion.process import add_noise, make_noise_schedule, signal_and_spread
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.audio import noise, shift_pitch
from audio2face.training.data.clips import TrainingClip, TrainingShot
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.motion import ShotMotion
from audio2face.training.data.samplers import SegmentBatchSpec, SegmentSampler, SegmentSpec, whole_clips
from audio2face.training.data.segments import (
    PcaDecoder,
    SegmentBatch,
    frame_positions,
    num_segment_samples,
    num_target_frames,
)
from audio2face.training.task import prefetch

RATE = 16_000


def open_both(configuration: Configuration) -> tuple[TrainingData, TrainDiffusion]:
    train = configuration.train
    assert isinstance(train, TrainDiffusion)
    return TrainingData.open(configuration.dataset, train), train


def load(configuration: Configuration, *draws: SegmentSpec) -> tuple[SegmentBatch, TrainingData, PcaDecoder]:
    data, train = open_both(configuration)
    loader, _ = data.segments(train, batch_size=1)
    poses = PcaDecoder(data.sources, train.TARGET_CHANNELS, train.RESCALE_TARGET_CHANNEL_DATA)
    return loader.load(SegmentBatchSpec(0, draws)), data, poses


def poses_of_shot(source: ActorSource, shot: str) -> torch.Tensor:
    """The normalised target of a whole shot at its own rate, written down from the rules: `[frames, values]`."""
    info, parts = source.info, []
    for name, shapes, archive in (
        ("skin", source.skin, source.skin_coefficients),
        ("tongue", source.tongue, source.tongue_coefficients),
    ):
        flat = archive.read(shot).astype(np.float64) @ shapes.matrix.reshape(len(shapes.matrix), -1).astype(np.float64)
        pose = flat.reshape(len(flat), -1, 3) + shapes.mean
        parts.append(((pose - info.translate[name]) / info.scale[name]).reshape(len(flat), -1))
    assert source.raw.jaw_animation is not None
    assert source.raw.eye_animation is not None
    for name, archive in (("jaw", source.raw.jaw_animation), ("eye", source.raw.eye_animation)):
        values = archive.read(shot).astype(np.float64)
        parts.append(values.reshape(len(values), -1) / info.scale[name])
    return torch.from_numpy(np.concatenate(parts, axis=1))


# --- time --------------------------------------------------------------------------------------------------------


def test_segment_equals_the_cut_of_the_whole_clip_resampled(configure: Configure) -> None:
    """Choosing the segment first, and interpolating coefficients, gives what the reference makes of whole clips."""
    rows = [("ann", "s3_anger", (10, 109), "ann", "en", "s3_anger.wav", 0)]
    for start, frames in ((0, 60), (77, 50), (150, 50)):
        batch, data, poses = load(configure(CLIPS=rows), SegmentSpec(0, start, frames))
        clip_poses = poses_of_shot(data.sources[0], "s3_anger")[10:110]
        resampled = functional.interpolate(clip_poses.T[None], scale_factor=2, mode="linear", align_corners=False)
        expected = resampled[0].T[start : start + frames]
        target = poses(batch)
        assert target.shape == (1, frames, 3 * 260 + 15 + 4)
        assert torch.allclose(target[0].double(), expected, atol=3e-6)


@pytest.mark.parametrize("fps", [30.0, 60.0])
@pytest.mark.parametrize("shot_fps", [24.0, 25.0, 30.0, 50.0, 60.0, 120.0])
def test_any_ratio_of_rates(fps: float, shot_fps: float) -> None:
    clip = TrainingClip(TrainingShot("s", "ann", "s", 100, shot_fps, "joy", 0), 20, 69, "", "", None)
    count = num_target_frames(clip, fps)
    assert count == int(50 * fps / shot_fps)
    positions = frame_positions(clip, fps, 0, count)
    times = (positions + 0.5) / shot_fps  # the middle of each frame
    inside = (positions > 20) & (positions < 69)
    assert np.allclose(times[inside], (20 / shot_fps + (np.arange(count) + 0.5) / fps)[inside])
    assert positions.min() >= 20
    assert positions.max() <= 69
    assert np.array_equal(frame_positions(clip, fps, 7, 5), positions[7:12])
    if fps == shot_fps:
        assert np.array_equal(positions, np.arange(20, 70))


@pytest.mark.parametrize("offset", [0, 4, -7, 0.5, -1.5])
def test_audio_of_a_segment(offset: float, configure: Configure, reference_data: Path) -> None:
    rows = [("ann", "s4_neutral", (5, 104), "ann", "en", "s4_neutral.wav", offset)]
    batch, data, _ = load(configure(CLIPS=rows), SegmentSpec(0, 41, 77))
    whole = read_track(reference_data / "preproc/dataset/audio/s4_neutral.wav")
    first = 5 + math.ceil(max(-offset, 0))
    start = round((first + offset) / 30 * RATE) + int(41 * (RATE / 60))
    assert batch.audio.shape == (1, int(77 / 60 * RATE)) == (1, num_segment_samples(77, 60.0, RATE))
    assert np.array_equal(batch.audio[0], whole.data[start : start + batch.audio.shape[1]])
    motion = data.motions["s4_neutral"].interpolate(first + np.clip((np.arange(41, 118) + 0.5) / 2 - 0.5, 0, None))
    assert np.allclose(batch.skin[0], motion.skin)


def test_audio_beyond_the_recording_is_silent(configure: Configure) -> None:
    rows = [("ann", "s2_joy", (0, 94), "aug_v1", "en", "aug/v1/s2_joy.wav", -3)]
    batch, _, _ = load(configure(CLIPS=rows), SegmentSpec(0, 0, 120))
    assert batch.audio[0, :15_900].abs().max() > 0
    assert not batch.audio[0, 16_000:].any()


def test_time_shift_applies_to_audio_and_motion(configure: Configure) -> None:
    """A shift by a whole frame is the segment one frame later."""
    configuration = configure(TARGET_FPS=30.0)
    shifted, _, _ = load(configuration, SegmentSpec(0, 20, 40, time_shift=1.0))
    later, _, _ = load(configuration, SegmentSpec(0, 21, 40))
    assert torch.equal(shifted.skin, later.skin)
    assert torch.equal(shifted.jaw, later.jaw)
    lag = int(21 * RATE / 30) - round(RATE / 30) - int(20 * RATE / 30)
    assert torch.equal(shifted.audio[0, lag:], later.audio[0, : later.audio.shape[1] - lag])
    half, _, _ = load(configuration, SegmentSpec(0, 20, 40, time_shift=-0.5))
    before, _, _ = load(configuration, SegmentSpec(0, 19, 41))
    assert torch.allclose(half.eye, (before.eye[:, :-1] + before.eye[:, 1:]) / 2, atol=1e-6)


def test_pitch_shift_keeps_the_timing_and_is_reproducible(configure: Configure) -> None:
    seconds = np.arange(2 * RATE) / RATE
    burst = np.exp(-(((seconds - 0.8) / 0.05) ** 2))
    wave = (burst * np.sin(2 * np.pi * 220 * seconds)).astype(np.float32)
    shifted = shift_pitch(wave, RATE, 4.0)
    assert np.array_equal(shifted, shift_pitch(wave, RATE, 4.0))
    middle = (seconds * shifted**2).sum() / (shifted**2).sum()
    assert middle == pytest.approx(0.8, abs=0.005)
    loudest = np.abs(np.fft.rfft(shifted)).argmax() / 2
    assert loudest == pytest.approx(220 * 2 ** (4 / 12), abs=3)
    plain, _, _ = load(configure(), SegmentSpec(0, 60, 60))
    raised, _, _ = load(configure(), SegmentSpec(0, 60, 60, semitones=2.0))
    assert raised.audio.shape == plain.audio.shape
    assert not torch.equal(raised.audio, plain.audio)
    assert torch.equal(raised.skin, plain.skin)


def test_muted_segments(configure: Configure) -> None:
    configuration = configure(CLIPS=EVERY_SHOT[:1], AUG_MUTED_SHOTS=[("ann", ("s2_joy", 9), 50, "joy")])
    batch, data, poses = load(configuration, SegmentSpec(1, 10, 60, noise_gain=0.7, noise_seed=5))
    expected = noise(RATE, RATE, "mic", 0.1 * 0.7, np.random.default_rng(5)).astype(np.float32)
    assert np.array_equal(batch.audio[0], expected)
    target = poses(batch)[0]
    assert torch.equal(target, target[:1].expand(60, -1))
    assert torch.allclose(target[0].double(), poses_of_shot(data.sources[0], "s2_joy")[9], atol=1e-6)
    assert batch.emotion.tolist() == [[1.0, 0.0]]
    silent, _, _ = load(
        configure(AUG_MUTED_SHOTS=[("ann", ("s2_joy", 9), 50, "joy")], AUG_MUTED_AUDIO_NOISE_TYPE=None),
        SegmentSpec(4, 0, 30),
    )
    assert not silent.audio.any()


# --- targets -----------------------------------------------------------------------------------------------------


def test_neutral_target_is_the_mean_geometry(configure: Configure) -> None:
    muted = [("ann", ("s1_neutral", 0), 50, "neutral")]
    still = {"AUG_MUTED_TONGUE_IS_NEUTRAL": True, "JAW_ANIM_DATA_FPATH": {}, "EYE_ANIM_DATA_FPATH": {}}
    batch, data, poses = load(configure(AUG_MUTED_SHOTS=muted, **still), SegmentSpec(4, 0, 30))
    assert torch.allclose(poses(batch)[0, 0], torch.from_numpy(data.sources[0].mean_geometry), atol=1e-6)


def test_channels_in_any_order_and_without_rescaling(configure: Configure) -> None:
    batch, data, _ = load(configure(), SegmentSpec(1, 6, 40))
    poses = PcaDecoder(data.sources, ["eye", "skin_coeffs", "tongue_pose", "jaw"], rescale=False)
    eye, skin, tongue, jaw = poses(batch).split([4, 21, 180, 15], dim=-1)
    assert torch.equal(eye, batch.eye)
    assert torch.equal(skin, batch.skin)
    assert torch.equal(jaw, batch.jaw)
    shapes = data.sources[0].tongue
    expected = batch.tongue @ torch.from_numpy(shapes.matrix.reshape(6, -1)) + torch.from_numpy(shapes.mean.reshape(-1))
    assert torch.allclose(tongue, expected)
    assert not poses.state_dict()


def test_each_actor_of_a_batch_has_its_own_components(
    configure: Configure, workspace: Path, reference_data: Path
) -> None:
    """The second actor has fewer shapes and another scale."""
    bobs = workspace / "output_preproc/bobs"
    add_run(reference_data, bobs, "bob")
    for name, keys in (("shapes", ("shapes_matrix",)), ("coeffs_all", None)):
        path = bobs / f"pca/skin/skin_pca_{name}.npz"
        with np.load(path) as archive:
            arrays = {key: archive[key] for key in archive.files}
        for key in keys or arrays:
            arrays[key] = arrays[key][:15] if keys else arrays[key][:, :15]
        np.savez(path, **arrays)
    info = json.loads((bobs / "deploy/data_info.json").read_text())
    (bobs / "deploy/data_info.json").write_text(json.dumps(info | {"num_shapes_skin": 15, "scale_skin": 20.0}))
    draws = [SegmentSpec(clip, 20, 30) for clip in (0, 5, 1, 6)]
    batch, data, poses = load(configure(("ann", "bob"), CLIPS=[]), *draws)
    assert batch.actors == (0, 1, 0, 1)
    assert batch.actor.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    target = poses(batch)
    for item, (source, shot) in enumerate(
        (data.sources[index], shot) for shot in ("s1_neutral", "s2_joy") for index in (0, 1)
    ):
        whole = poses_of_shot(source, shot)
        doubled = functional.interpolate(whole.T[None], scale_factor=2, mode="linear", align_corners=False)[0].T
        assert torch.allclose(target[item].double(), doubled[20:50], atol=3e-6)
    schedule, steps, drawn = (
        make_noise_schedule("cosine", 1000),
        torch.tensor([0, 400, 999, 7]),
        torch.randn_like(target),
    )
    expected = add_noise(schedule, target, steps, drawn)
    found = poses.diffuse(batch, drawn, *signal_and_spread(schedule, steps))
    assert torch.allclose(found, expected, atol=1e-6)


def test_whole_clips_are_decoded_in_blocks(configure: Configure) -> None:
    """Memory is that of the segment's coefficients and sound, however long the clip and large the mesh."""
    data, train = open_both(configure())
    loader, _ = data.segments(train, batch_size=1)
    loader.load(SegmentBatchSpec(0, (SegmentSpec(0, 0, 30),)))  # the recording is in memory now
    long = data.motions["s1_neutral"].freeze_frame(5, 100_000, neutral_skin=False, neutral_tongue=False)
    loader, _ = replace(data, motions={**data.motions, "s1_neutral": long}).segments(train, batch_size=1)
    tracemalloc.start()
    try:
        batch = loader.load(SegmentBatchSpec(0, (SegmentSpec(0, 0, 30),)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * 100 * 8 + 4 * batch.audio.numel() * 4 + 50_000


# --- sampling ------------------------------------------------------------------------------------------------------


def sampler(batch_size: int = 1, **changes: object) -> SegmentSampler:
    values: dict[str, object] = {
        "clip_frames": [200, 40, 640, 25, 300, 90, 1000],
        "clip_muted": [False] * 5 + [True] * 2,
        "min_frames": 30,
        "max_frames": 600,
        "time_shift": 1.0,
        "pitch_probability": 0.5,
        "semitones": (-2.0, 2.0),
        "noise_gain": (0.0, 1.0),
        "order_seed": 42,
        "draw_seed": 43,
    }
    return SegmentSampler(batch_size=batch_size, **(values | changes))  # type: ignore[arg-type]


def test_an_epoch_draws_every_clip_once_within_the_ranges() -> None:
    plans = [sampler().batch_spec(position) for position in range(7 * 40)]
    for epoch in range(40):
        part = plans[7 * epoch : 7 * epoch + 7]
        assert sorted(plan.segments[0].clip for plan in part) == list(range(7))
    frames = sampler().clip_frames
    draws = [plan.segments[0] for plan in plans]
    for draw in draws:
        assert min(30, frames[draw.clip]) <= draw.num_frames <= min(600, frames[draw.clip])
        assert 0 <= draw.start <= frames[draw.clip] - draw.num_frames
        assert abs(draw.time_shift) <= 0.5
        if draw.clip >= 5:
            assert draw.semitones is None
            assert draw.time_shift == 0
            assert 0 <= draw.noise_gain < 1
    shifted = [draw.semitones for draw in draws if draw.semitones is not None]
    assert 60 < len(shifted) < 140  # half of 200
    assert max(map(abs, shifted)) <= 2
    orders = {tuple(plan.segments[0].clip for plan in plans[7 * epoch : 7 * epoch + 7]) for epoch in range(40)}
    assert len(orders) > 35


def test_a_position_determines_the_batch() -> None:
    whole = [sampler(3).batch_spec(position) for position in range(9)]
    assert [sampler(3).batch_spec(position) for position in range(4, 9)] == whole[4:]
    assert list(sampler(3).epoch(1, 1)) == whole[4:6]
    assert [len(plan.segments) for plan in whole] == [3, 3, 1] * 3
    other = sampler(3, draw_seed=44).batch_spec(0)
    assert [draw.clip for draw in other.segments] == [draw.clip for draw in whole[0].segments]
    assert other != whole[0]


def test_lengths_in_a_batch() -> None:
    for position in range(9):
        shared, own = (
            sampler(3).batch_spec(position).segments,
            sampler(3, own_lengths=True).batch_spec(position).segments,
        )
        single = [sampler().batch_spec(7 * (position // 3) + item).segments[0] for item in range(7)][
            3 * (position % 3) :
        ][:3]
        assert own == tuple(single)  # what is drawn does not depend on the size of batches
        length = min(single[0].num_frames, *(sampler().clip_frames[draw.clip] for draw in single))
        assert {draw.num_frames for draw in shared} == {length}


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_a_batch(world_size: int) -> None:
    for position in range(8):
        whole = sampler(6).batch_spec(position).segments
        plans = [sampler(6, rank=rank, world_size=world_size).batch_spec(position) for rank in range(world_size)]
        assert all(plan.segments for plan in plans)  # a rank without items takes part with padding
        parts = [() if plan.is_padding else plan.segments for plan in plans]
        drawn = [draw for turn in itertools.zip_longest(*parts) for draw in turn if draw is not None]
        assert drawn == list(whole)
    with pytest.raises(ValueError, match="shared equally"):
        sampler(3, world_size=2)


def test_whole_clips() -> None:
    plans = whole_clips([200, 1000, 601])
    assert [plan.segments for plan in plans] == [
        (SegmentSpec(0, 0, 200),),
        (SegmentSpec(1, 0, 1000),),
        (SegmentSpec(2, 0, 601),),
    ]
    with_chance = [sampler(whole_clips=True).batch_spec(position) for position in range(7)]
    assert {(plan.segments[0].clip, plan.segments[0].num_frames) for plan in with_chance} == set(
        enumerate(sampler().clip_frames)
    )


# --- batches -----------------------------------------------------------------------------------------------------


def same(one: SegmentBatch, other: SegmentBatch) -> bool:
    names = ("skin", "tongue", "jaw", "eye", "audio", "emotion", "actor")
    tensors = all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)
    return one.spec == other.spec and np.array_equal(one.valid, other.valid) and tensors


def test_resumed_training_sees_the_same_batches(configure: Configure) -> None:
    """Also with pitch shift, noise, and recordings that are read again each time."""
    augment = {"timeshift": 1.0, "pitch_shift": {"min_semitones": -2.0, "max_semitones": 2.0, "p": 1.0}}
    changes = {"AUGMENT": augment, "AUG_MUTED_SHOTS": [("ann", ("s2_joy", 9), 50, "joy")], "SUBSEGMENT_MAX_FRAME": 90}
    data, train = open_both(configure(**changes))
    loader, numbers = data.segments(train, batch_size=2)
    every = list(loader.batches(map(numbers.batch_spec, range(6))))
    assert [batch.spec.position for batch in every] == list(range(6))
    again, train = open_both(configure(**changes, AUDIO_DATA_CACHING=False))
    loader, numbers = again.segments(train, batch_size=2)
    with_rest = itertools.islice(loader.batches(map(numbers.batch_spec, itertools.count(3))), 3)
    assert all(same(one, other) for one, other in zip(every[3:], with_rest, strict=True))
    assert not again.recordings._tracks


def test_padded_batch(configure: Configure) -> None:
    configuration = configure(TRAIN_ON_RANDOM_SUBSEGMENT=False)
    data, train = open_both(configuration)
    loader, numbers = data.segments(train, batch_size=4)
    batch = loader.load(numbers.batch_spec(0))
    frames = [2 * loader.reader.clips[draw.clip].num_frames for draw in batch.spec.segments]
    assert batch.lengths is not None
    assert batch.audio_lengths is not None
    assert batch.lengths.tolist() == frames
    assert batch.num_frames == sum(frames) == 2 * 466
    assert batch.audio_lengths.tolist() == [int(count / 60 * RATE) for count in frames]
    shortest = int(np.argmin(frames))
    assert not batch.skin[shortest, frames[shortest] :].any()
    assert not batch.audio[shortest, batch.audio_lengths[shortest] :].any()
    assert batch.to("cpu").spec == batch.spec
    assert len(batch.sample_ids) == 4


def test_prefetching_is_bounded_and_passes_errors_on() -> None:
    done: list[int] = []

    def work(order: int) -> int:
        if order == 5:
            raise ValueError("five")
        done.append(order)
        return order

    made = prefetch(itertools.count(), work, 2)
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    assert len(done) <= 5
    with pytest.raises(ValueError, match="five"):
        list(made)
    made = prefetch(itertools.count(), lambda order: order, 2)
    next(made)
    made.close()  # type: ignore[attr-defined]


def test_interpolated_coefficients_equal_interpolated_poses() -> None:
    rng = np.random.default_rng(0)
    coefficients, shapes, mean = rng.normal(size=(9, 4)), rng.normal(size=(4, 30)), rng.normal(size=30)
    empty = np.zeros((9, 0), np.float32)
    motion = ShotMotion(coefficients.astype(np.float32), empty, empty, empty, (True,) * 4)
    positions = rng.uniform(0, 8, size=50)
    poses = coefficients @ shapes + mean
    lower = positions.astype(int)
    weight = (positions - lower)[:, None]
    expected = (1 - weight) * poses[lower] + weight * poses[lower + 1]
    assert np.allclose(motion.interpolate(positions).skin @ shapes + mean, expected, atol=1e-5)
