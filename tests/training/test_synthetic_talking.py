"""Synthetic talking: its share of batches, its motion, what may not see it, and trainings that resume with it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from small_project import small_project

from audio2face import extras
from audio2face.config import Configuration, TrainDiffusion, load
from audio2face.config_base.tables import NetworkType
from audio2face.errors import UserError
from audio2face.synthesis.recordings import labelled_recordings, synthetic_recordings
from audio2face.synthesis.viseme_map import LipContact, MovingSpeech, fit_viseme_map, spread
from audio2face.training.checkpoint import FOLDER
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.pseudo_labels import SYNTHETIC, Mixture, PseudoLabelledShare
from audio2face.training.data.samplers import SegmentSampler, SequenceSampler, TimeShiftGrid
from audio2face.training.data.sequences import num_rows
from audio2face.training.data.synthetic import _delay, _EncodedClip
from audio2face.training.distributed import make_fabric
from audio2face.training.run import NEWEST, train
from audio2face.training.task import MixedBatch, training_module
from audio2face.training.trainer import Trainer
from audio2face.types import Float32Array, Float64Array

SPEECH = Path(__file__).parents[1] / "data/espeak"  # labelled speech in eight languages
USED = {"SYNTHETIC_SHARE": 0.5, "SYNTHETIC_SPEECH_ROOT": str(SPEECH)}
KINDS: tuple[NetworkType, ...] = ("diffusion", "regression", "streaming")


def segments(share: float, epochs: int = 0, **changes: Any) -> SegmentSampler:
    values = {"batch_size": 4, "rank": 0, "world_size": 1, **changes}
    return SegmentSampler(
        clip_frames=[50] * 12 + [90] * 7,
        clip_muted=[False] * 19,
        order_seed=1,
        draw_seed=2,
        min_frames=10,
        max_frames=20,
        mixture=Mixture((PseudoLabelledShare(SYNTHETIC, 7, share, epochs),)),
        **values,
    )


@pytest.mark.parametrize("share", [0.1, 0.29, 0.5, 0.66, 0.7, 0.9])
def test_an_epoch_has_each_recorded_clip_once_and_every_batch_the_share(share: float) -> None:
    sampler = segments(share)
    for epoch in (0, 3):
        drawn = [[segment.clip for segment in spec.segments] for spec in sampler.epoch(epoch)]
        items = [clip for batch in drawn for clip in batch]
        assert sorted(clip for clip in items if clip < 12) == list(range(12))
        assert len(items) == sampler.num_items == int(12 / (1 - share) + 1e-9)
        for batch in drawn:
            assert abs(sum(clip >= 12 for clip in batch) - share * len(batch)) < 1
            assert batch == sorted(batch, key=lambda clip: clip >= 12)  # recorded items come first


def test_synthetic_clips_are_drawn_equally_often_in_an_order_of_their_own() -> None:
    sampler = segments(0.5)
    found = [[s.clip for s in spec.segments if s.clip >= 12] for epoch in range(7) for spec in sampler.epoch(epoch)]
    items = [clip for batch in found for clip in batch]
    assert [items.count(clip) for clip in range(12, 19)] == [12] * 7
    assert len({tuple(items[start : start + 7]) for start in range(0, 84, 7)}) > 6


def test_the_first_epochs_are_synthetic_alone() -> None:
    sampler = segments(0.0, epochs=2)
    kinds = [{s.clip >= 12 for spec in sampler.epoch(epoch) for s in spec.segments} for epoch in range(3)]
    assert kinds == [{True}, {True}, {False}]
    assert segments(0.5, epochs=1).batches_per_epoch == segments(0.5).batches_per_epoch


def test_processes_share_a_batch_and_its_synthetic_items() -> None:
    whole = segments(0.5, batch_size=8)
    parts = [segments(0.5, batch_size=8, rank=rank, world_size=2) for rank in range(2)]
    for position in range(2 * whole.batches_per_epoch):
        one, *shared = (sampler.batch_spec(position) for sampler in (whole, *parts))
        drawn = sorted((s.clip, s.start) for spec in shared for s in spec.segments)
        assert drawn == sorted((s.clip, s.start) for s in one.segments)
        assert [dict(spec.groups) for spec in shared] == [{"recorded": 2, "synthetic": 2}] * 2


def test_sequences_are_mixed_in_the_same_way() -> None:
    sampler = SequenceSampler(
        clip_frames=[20, 31, 50],
        clip_muted=[False] * 3,
        batch_size=6,
        order_seed=1,
        draw_seed=2,
        length=2,
        stride=1,
        shifts=TimeShiftGrid(1.0),
        mixture=Mixture((PseudoLabelledShare(SYNTHETIC, 1, 0.25),)),
    )
    specs = list(sampler.epoch(0))
    drawn = [pair for spec in specs for pair in zip(spec.clips.tolist(), spec.starts.tolist(), strict=True)]
    assert sorted(pair for pair in drawn if pair[0] < 2) == [(0, start) for start in range(19)] + [
        (1, start) for start in range(30)
    ]
    assert all(abs(spec.groups["synthetic"] - len(spec.clips) / 4) < 1 for spec in specs)
    assert all((spec.clips[spec.groups["recorded"] :] == 2).all() for spec in specs)


# --- motion -----------------------------------------------------------------------------------------------------------


def test_a_map_finds_the_weights_that_made_the_motion() -> None:
    rng = np.random.default_rng(0)
    weights, constants = rng.standard_normal((5, 3)), {"calm": np.array([1.0, 2, 3]), "joy": np.array([-4.0, 0, 9])}
    channels = {emotion: rng.random((2000, 5)) + (emotion == "joy") for emotion in constants}
    speech = [MovingSpeech(channels[name], channels[name] @ weights + constants[name], name) for name in constants]
    found = fit_viseme_map(speech)
    new = rng.random((50, 5))
    for name, constant in constants.items():
        np.testing.assert_allclose(found(new, name), new @ weights + constant, atol=0.05)
    means = channels["joy"].mean(axis=0)
    np.testing.assert_allclose(found(means[None], "joy", 3.0), found(means[None], "joy"))
    one, three = (spread([found(new, "joy", gain)[:, 0]], ["joy"]) for gain in (1.0, np.full(50, 3.0)))
    assert three == pytest.approx(3 * one)


def test_lips_meet_along_the_recorded_way_and_no_further() -> None:
    rng = np.random.default_rng(0)
    apart = rng.random(1000)  # of the second value, by which the third moves half as far
    motion = np.stack([rng.standard_normal(1000), 1 + apart, 0.5 * apart], axis=1)
    lips = LipContact.fit([motion], np.array([0.0, 1, 0]), 0.0)
    assert lips.closed == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose(lips.values, [0, 1, 0.5], atol=0.1)
    moved = lips.apply(np.array([[7.0, 2, 0.5], [7, 2, 0.5], [7, 2, 0.5], [7, 0, 0]]), np.array([0, 0.5, 1, 0]))
    np.testing.assert_allclose(moved[:, 1], [2, 1.5, 1, 1], atol=0.01)
    np.testing.assert_allclose(moved[:, 2], [0.5, 0.25, 0, 0.5], atol=0.11)


@pytest.mark.parametrize("late", [-0.03, 0.0, 0.05])
def test_the_delay_of_a_face_behind_the_rules_is_found(data: TrainingData, late: float) -> None:
    clip = next(clip for clip in data.training_clips if clip.audio)
    rng, times = np.random.default_rng(0), np.arange(50 * 20) / 50
    channels = gaussian_filter1d(rng.standard_normal((len(times), 23)), 3.0, axis=0)
    encoded = _EncodedClip(clip, channels.astype(np.float32), np.ones(len(times), np.float32), times)
    motion = data.motions[clip.shot.id]
    weights = rng.standard_normal((23, motion.skin.shape[1]))
    skin = np.zeros_like(motion.skin)
    skin[clip.first : clip.last + 1] = encoded.frames(late)[0] @ weights
    assert _delay([encoded], [replace(motion, skin=skin)]) == pytest.approx(late)
    assert _delay([encoded], [replace(motion, skin=np.zeros_like(skin))]) == 0


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    return small_project(tmp_path_factory.mktemp("synthetic"), **USED)


@pytest.fixture(scope="module")
def data(configuration: Configuration) -> TrainingData:
    opened = TrainingData.open(configuration.dataset, configuration.train)
    return opened.with_synthetic_talking(configuration.train)


def opening(data: TrainingData, skin: Float32Array) -> Float64Array:
    """The distance of the lips from that of the mean face, `[frames]`."""
    lips = data.sources[0].raw.lip_dist
    assert lips is not None
    matrix = data.sources[0].skin.matrix.astype(np.float64)
    opened: Float64Array = skin @ (matrix[:, lips.upper, 1] - matrix[:, lips.lower, 1]).mean(axis=1)
    return opened


def test_lips_meet_in_each_p_b_and_m_and_move_as_far_as_recorded_ones(data: TrainingData) -> None:
    closed, spoken, closures = [], [], 0
    recorded = [opening(data, data.motions[clip.shot.id].skin) for clip in data.training_clips if clip.audio]
    for clip, labelled in zip(data.pseudo_labelled_clips, labelled_recordings(SPEECH), strict=True):
        opened = opening(data, data.motions[clip.shot.id].skin)
        times = (np.arange(len(opened)) + 0.5) / clip.shot.fps
        for phone in labelled.phones:
            inside = opened[(times >= phone.start) & (times < phone.end)]
            if phone.symbol[0] in "pbm" and len(inside):
                closed.append(inside.min())
                closures += 1
            elif phone.symbol != "SIL":
                spoken.append(inside)
    assert closures > 40
    assert np.ptp(closed) < 1e-4
    assert min(closed) < np.quantile(np.concatenate(recorded), 0.1)
    assert np.concatenate(spoken).min() >= min(closed) - 1e-4
    assert np.quantile(np.concatenate(spoken), 0.7) > max(closed) + 0.1


def test_the_style_is_that_of_training_shots_alone(configuration: Configuration, data: TrainingData) -> None:
    moved = {
        clip.shot.id: replace(data.motions[clip.shot.id], skin=1e3 + data.motions[clip.shot.id].skin)
        for clip in (*data.validation_clips, *data.training_clips[:1])
    }
    (held_out,) = {clip.shot.id for clip in data.validation_clips}
    for shot, motion in moved.items():
        again = replace(data, motions={**data.motions, shot: motion}, pseudo_labelled=())
        (made,) = again.with_synthetic_talking(configuration.train).pseudo_labelled
        same = [np.array_equal(made.motions[name].skin, data.motions[name].skin) for name in made.motions]
        assert set(same) == {shot == held_out}


def test_everything_but_batches_sees_recorded_clips_alone(configuration: Configuration, data: TrainingData) -> None:
    synthetic = {clip.shot.id for clip in data.pseudo_labelled_clips}
    assert len(synthetic) == 16
    assert not synthetic & {clip.shot.id for clip in (*data.training_clips, *data.validation_clips)}
    assert not synthetic & {shot.id for shot in data.shots}
    assert min(clip.shot.first_global_frame for clip in data.pseudo_labelled_clips) == num_rows(data.shots)
    loader, _ = data.validation_segments(configuration.section("train", TrainDiffusion))
    assert {clip.shot.id for clip in loader.reader.clips} == {"s4_neutral"}
    assert {clip.shot.emotion for clip in data.pseudo_labelled_clips} == {"neutral", "joy", "anger"}


# --- training ---------------------------------------------------------------------------------------------------------


class KilledError(Exception):
    """In the place of a signal that cannot be caught."""


def trained(configuration: Configuration, *, resume: bool = False) -> Path:
    return train(configuration, lambda run, network: None, resume=NEWEST if resume else None).run.path


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_resumes_with_the_same_bits(
    kind: NetworkType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**USED, "SYNTHETIC_EPOCHS": 1, "NUM_EPOCHS": 3, "VALIDATION_PERIOD_EPOCHS": 3, "LOG_PERIOD": 1}
    whole = trained(small_project(tmp_path / "whole", kind=kind, **changes))
    last = (whole / FOLDER / "last").read_text()
    counted = iter(range(1, 100))
    record = Trainer._record_step

    def record_or_die(trainer: Trainer, norm: torch.Tensor) -> None:
        if next(counted) in (2, int(last) - 1):  # in the synthetic epoch, and in a mixed one; each step before is saved
            raise KilledError
        record(trainer, norm)

    monkeypatch.setattr(Trainer, "_record_step", record_or_die)
    configuration = small_project(tmp_path / "killed", kind=kind, **changes)
    for resume in (False, True):
        with pytest.raises(KilledError):
            trained(configuration, resume=resume)
    run = trained(configuration, resume=True)
    assert (run / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    names = ("training_state/task_state.json", "training_state/optimizer_state.safetensors", "model.safetensors")
    for name in names:
        assert (run / FOLDER / last / name).read_bytes() == (whole / FOLDER / last / name).read_bytes()
    check_log(whole)


def check_log(run: Path) -> None:
    """Losses of the groups are apart, and together those of all items."""
    with (run / "metrics.csv").open(encoding="utf-8") as table:
        rows = [(int(row["step"]), row["metric"], float(row["value"])) for row in csv.DictReader(table)]
    by_step: dict[int, dict[str, float]] = {}
    for step, name, value in rows:
        by_step.setdefault(step, {})[name] = value
    term = "diffusion" if "losses/diffusion" in by_step[1] else "mse"
    assert f"recorded/{term}" not in by_step[1]
    assert by_step[1][f"synthetic/{term}"] == pytest.approx(by_step[1][f"losses/{term}"], rel=1e-5)
    mixed = [values for values in by_step.values() if f"recorded/{term}" in values]
    assert mixed
    for values in mixed:
        ends = sorted((values[f"recorded/{term}"], values[f"synthetic/{term}"]))
        assert ends[0] <= values[f"losses/{term}"] * 1.0001
        assert values[f"losses/{term}"] <= ends[1] * 1.0001
    record = json.loads((run / "configs/synthetic_talking.json").read_text())
    assert record["source"].endswith("espeak")
    assert (record["recordings"], record["share"], record["epochs"]) == (16, 0.5, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_of_a_mixed_batch_are_those_of_its_items(kind: NetworkType, tmp_path: Path) -> None:
    changes = {**USED, "GRADIENT_ACCUMULATION_STEPS": 1}
    configuration = small_project(tmp_path, kind=kind, **changes)
    fabric = make_fabric("cpu", "float32")
    task = training_module(kind).open_task(configuration, fabric, None)
    batch = next(task.batches(1, 0))
    assert isinstance(batch, MixedBatch)
    sizes = batch.group_sizes
    assert min(sizes.values()) > 0
    losses = task.losses(task.network, batch)
    for term in {name.partition("/")[2] for name in losses if "/" in name} - {"emo_reg"}:
        mean = sum(count * losses[f"{group}/{term}"].item() for group, count in sizes.items()) / sum(sizes.values())
        assert mean == pytest.approx(losses[term].item(), rel=1e-4, abs=1e-7)


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_missing_extra_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "missing", lambda extra: ["hibari"])
    with pytest.raises(UserError, match=r"synthetic speech needs what is not installed here: hibari"):
        synthetic_recordings(tmp_path, 1.0, 0)


def test_a_folder_without_labelled_speech_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no recording with phone times"):
        labelled_recordings(tmp_path)
    shutil.copy(SPEECH / "en_low.wav", tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("start\tend\tphone\n0.0\t0.2\tAA\n")
    with pytest.raises(UserError, match=r"a\.txt: 'AA' is no phone of the International Phonetic Alphabet"):
        labelled_recordings(tmp_path)


@pytest.mark.parametrize(("share", "message"), [("0.95", "0.9"), ("-0.1", "0")])
def test_a_share_out_of_range_is_refused(share: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"SYNTHETIC_SHARE.*{message}"):
        load("example-diffusion", stage="inference", check_files=False, overrides=[f"SYNTHETIC_SHARE={share}"])
