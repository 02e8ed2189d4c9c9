"""Distillation: the share of a teacher's motion, what that motion is, what is refused, and resumed trainings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from small_project import small_project

from audio2face.config import Configuration, load
from audio2face.config.teacher_run import find_teacher
from audio2face.deploy import export_run
from audio2face.errors import UserError
from audio2face.training import distillation
from audio2face.training.checkpoint import FOLDER
from audio2face.training.data.actors import ActorSource, open_sources
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.pseudo_labels import DISTILLATION, SYNTHETIC, Mixture, PseudoLabelledShare
from audio2face.training.data.samplers import SegmentSampler
from audio2face.training.data.unlabelled_speech import SEMITONES
from audio2face.training.distillation import with_teacher
from audio2face.training.distributed import make_fabric
from audio2face.training.inference.animate import RawNetwork
from audio2face.training.run import NEWEST, train
from audio2face.training.task import training_module
from audio2face.training.teacher import Teacher
from audio2face.training.teacher_motion import coefficients_of
from audio2face.training.trainer import Trainer

SPEECH = Path(__file__).parents[1] / "data/espeak"  # labelled speech in eight languages
Kind = Literal["diffusion", "regression", "streaming"]
QUICK: dict[str, Any] = {"NUM_EPOCHS": 1, "VALIDATION_PERIOD_EPOCHS": 1, "CHECKPOINT_PERIOD_MINUTES": 10.0}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with a finished regression run, a diffusion run, and a folder of speech."""
    folder = tmp_path_factory.mktemp("teachers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2F_WORKSPACE_ROOT", str(folder))
        make_teachers(folder)
        yield folder


def make_teachers(folder: Path) -> None:
    for kind in ("regression", "diffusion"):
        made = small_project(folder, kind=kind, RUN_NAME=kind, **QUICK)  # type: ignore[arg-type]
        train(made, lambda run, network: None)
        export_run(find_teacher(kind, made.train.TRAIN_OUTPUT_ROOT, ["ann"]))
    speech = folder / "speech/some voices"
    speech.mkdir(parents=True)
    for name in ("en_low", "de_low", "it_low"):
        shutil.copy(SPEECH / f"{name}.wav", speech)


def student(workspace: Path, teacher: str, kind: Kind = "streaming", **changes: Any) -> Configuration:
    values = {
        "TEACHER_RUN": teacher,
        "DISTILLATION_SHARE": 0.5,
        "DISTILLATION_SPEECH_ROOT": str(workspace / "speech"),
        **changes,
    }
    return small_project(workspace, kind=kind, **values)


def taught(configuration: Configuration, resumed: str | None = None) -> TrainingData:
    return with_teacher(TrainingData.open(configuration.dataset, configuration.train), configuration, resumed)


# --- shares -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("synthetic", "distillation"), [(0.25, 0.5), (0.1, 0.7), (0.0, 0.5)])
def test_two_kinds_have_their_shares_and_each_recorded_clip_comes_once(synthetic: float, distillation: float) -> None:
    kinds = (PseudoLabelledShare(SYNTHETIC, 5, synthetic, 1), PseudoLabelledShare(DISTILLATION, 7, distillation))
    sampler = SegmentSampler(
        clip_frames=[50] * 24,
        clip_muted=[False] * 24,
        batch_size=8,
        order_seed=1,
        draw_seed=2,
        min_frames=10,
        max_frames=20,
        mixture=Mixture(kinds),
    )
    first = [segment.clip for spec in sampler.epoch(0) for segment in spec.segments]
    assert set(first) == set(range(12, 17))  # SYNTHETIC_EPOCHS
    drawn = []
    for epoch in range(1, 9):
        specs = list(sampler.epoch(epoch))
        clips = [segment.clip for spec in specs for segment in spec.segments]
        assert sorted(clip for clip in clips if clip < 12) == list(range(12))
        assert len(clips) == int(12 / (1 - synthetic - distillation) + 1e-9)
        for spec in specs:
            found = [sum(low <= segment.clip < high for segment in spec.segments) for low, high in ((0, 12), (12, 17))]
            assert dict(spec.groups) == {
                "recorded": found[0],
                "synthetic": found[1],
                "distillation": len(spec.segments) - sum(found),
            }
            assert abs(spec.groups["distillation"] - distillation * len(spec.segments)) <= 1.5
        drawn += [clip for clip in clips if clip >= 17]
    counts = np.bincount(drawn)[17:]
    assert np.ptp(counts) <= 1  # each once before any is drawn again


# --- the teacher's motion ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source(workspace: Path) -> ActorSource:
    configuration = student(workspace, "regression")
    (found,) = open_sources(configuration.dataset, configuration.train)
    return found


def test_poses_become_the_coefficients_that_made_them(source: ActorSource) -> None:
    rng = np.random.default_rng(0)
    skin, tongue = source.skin, source.tongue
    true = rng.standard_normal((6, len(skin.matrix) + len(tongue.matrix) + 19)).astype(np.float32)
    parts = np.split(true, np.cumsum([len(skin.matrix), len(tongue.matrix)]), axis=1)
    rest = rng.standard_normal(skin.mean.shape).astype(np.float32)  # a network's neutral is no mean pose
    poses = np.tensordot(parts[0], skin.matrix, axes=1) + skin.mean - rest
    lingual = np.tensordot(parts[1], tongue.matrix, axes=1)
    output = np.concatenate([poses.reshape(6, -1), lingual.reshape(6, -1), parts[2]], axis=1)
    network = SimpleNamespace(
        predicts_coefficients=False, output_size=output.shape[1], neutral_skin=rest, neutral_tongue=tongue.mean
    )
    np.testing.assert_allclose(coefficients_of(cast(RawNetwork, network), source)(output), true, atol=1e-3)
    shorter = SimpleNamespace(
        **{
            **vars(network),
            "output_size": output.shape[1] - 4,
            "model": SimpleNamespace(run=SimpleNamespace(path=Path("teacher"))),
        }
    )
    with pytest.raises(UserError, match=r"TEACHER_RUN: outputs \d+ values a frame, the data of 'ann' have \d+"):
        coefficients_of(cast(RawNetwork, shorter), source)


def test_a_teacher_of_rescaled_jaw_and_eyes_teaches_the_recorded_units(workspace: Path, source: ActorSource) -> None:
    assert source.info.scale["jaw"] != 1
    values = len(source.skin.matrix) + len(source.tongue.matrix) + 19
    output = np.ones((2, values), np.float32)
    for rescaled in (False, True):
        trained = student(workspace, "regression", "regression", RESCALE_TARGET_CHANNEL_DATA=rescaled).train
        network = SimpleNamespace(predicts_coefficients=True, output_size=values, model=SimpleNamespace(train=trained))
        found = coefficients_of(cast(RawNetwork, network), source)(output)
        expected = output.copy()
        if rescaled:
            expected[:, -19:-4] /= source.info.scale["jaw"]
            expected[:, -4:] /= source.info.scale["eye"]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_regression_is_taught_at_the_rate_of_recorded_motion(workspace: Path) -> None:
    for kind, expected in (("regression", 30.0), ("streaming", 60.0)):
        data = taught(student(workspace, "regression", cast(Kind, kind), TARGET_FPS=60.0))
        assert {clip.shot.fps for clip in data.training_clips} == {30.0}
        assert {clip.shot.fps for clip in data.pseudo_labelled_clips} == {expected}


@pytest.mark.parametrize("kind", ["regression", "diffusion"])
def test_clips_have_the_motion_of_the_teacher_at_the_middle_of_frames(kind: str, workspace: Path) -> None:
    configuration = student(workspace, kind)
    data = taught(configuration)
    (made,) = data.pseudo_labelled
    assert made.record["teacher"].endswith(kind)
    assert (made.record["recordings"], made.share.share) == (3, 0.5)
    clip = made.clips[0]
    assert clip.audio is not None
    moved = data.motions[clip.shot.id]
    teacher = Teacher.open(kind, data.sources, configuration.train.TRAIN_OUTPUT_ROOT, 30.0)
    network = teacher.network("ann", clip.shot.emotion)
    recording = teacher.run.read_track(clip.audio)
    late = 267 if kind == "regression" else 0  # half a frame: frames of regression are at its beginning
    samples = recording.data[late:]
    blocks = list(network.predict(replace(recording, data=samples), network.options.mode))
    expected = coefficients_of(network, data.sources[0])(np.concatenate(blocks))
    found = np.concatenate(moved.parts, axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(np.diff(found, axis=0)).max() > 0
    assert moved.num_frames == clip.shot.num_frames
    assert {each.shot.emotion for each in made.clips} <= {"neutral", "joy", "anger"}


def test_validation_and_all_but_batches_know_recorded_motion_alone(workspace: Path) -> None:
    data = taught(student(workspace, "regression", SYNTHETIC_SHARE=0.2, SYNTHETIC_SPEECH_ROOT=str(SPEECH)))
    shots = {clip.shot.id for clip in data.pseudo_labelled_clips}
    assert not shots & {clip.shot.id for clip in (*data.training_clips, *data.validation_clips)}
    assert {clip.shot.name for clip in data.validation_clips} == {"s4_neutral"}
    starts = [(clip.shot.first_global_frame, clip.shot.num_frames) for clip in data.pseudo_labelled_clips]
    assert all(start + frames == after for (start, frames), (after, _) in pairwise(starts))


def test_motion_is_computed_once_and_after_a_stop_goes_on(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = student(workspace, "regression", DISTILLATION_ROOT=str(workspace / "once"))
    predicted: list[Any] = []
    network = Teacher.network

    def counted(teacher: Teacher, actor: str, emotion: str) -> RawNetwork:
        found = network(teacher, actor, emotion)
        predict = found.predict

        def stopping(recording: Any, mode: Any) -> Any:
            predicted.append(recording)
            if len(predicted) == 2:
                raise KeyboardInterrupt
            return predict(recording, mode)

        monkeypatch.setattr(found, "predict", stopping, raising=False)
        return found

    monkeypatch.setattr(Teacher, "network", counted)
    with pytest.raises(KeyboardInterrupt):
        taught(configuration)
    assert len(list((workspace / "once").glob("*.npy"))) == 1
    taught(configuration)
    assert len(predicted) == 4  # the second again, and the third
    taught(configuration)
    assert len(predicted) == 4


def test_without_a_folder_other_voices_and_synthetic_speech_are_animated(workspace: Path) -> None:
    configuration = student(
        workspace, "regression", DISTILLATION_SPEECH_ROOT=None, SYNTHETIC_SPEECH_ROOT=str(SPEECH), SYNTHETIC_SHARE=0.0
    )
    data = taught(configuration)
    (made,) = data.pseudo_labelled
    voices = [clip for clip in made.clips if clip.audio is not None and clip.audio.parent.name == "voices"]
    trained = [clip for clip in data.training_clips if clip.audio is not None]
    assert len(voices) == len(SEMITONES) * len(trained)
    assert [clip.shot.emotion for clip in voices[:: len(SEMITONES)]] == [clip.shot.emotion for clip in trained]
    assert len({clip.audio for clip in voices}) == len(voices)
    assert len({clip.audio for clip in made.clips} - {clip.audio for clip in voices}) == 16


# --- training ---------------------------------------------------------------------------------------------------------


class KilledError(Exception):
    """In the place of a signal that cannot be caught."""


@pytest.mark.parametrize("kind", ["streaming", "diffusion", "regression"])
def test_a_killed_training_resumes_with_its_teacher_and_the_same_bits(
    kind: Kind, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {"SYNTHETIC_SHARE": 0.2, "SYNTHETIC_SPEECH_ROOT": str(SPEECH), "NUM_EPOCHS": 2, "LOG_PERIOD": 1}
    configuration = student(workspace, "latest", kind, **both, TRAIN_OUTPUT_ROOT=str(tmp_path / "whole"))
    teachers = workspace / "output_train"
    for runs in ("whole", "killed"):
        shutil.copytree(find_teacher("diffusion", teachers, ["ann"]), tmp_path / runs / "250101_000000_teacher")
    whole = train(configuration, lambda run, network: None).run.path
    last = (whole / FOLDER / "last").read_text()
    counted = iter(range(1, 100))
    record = Trainer._record_step

    def record_or_die(trainer: Trainer, norm: torch.Tensor) -> None:
        if next(counted) == int(last) - 1:
            raise KilledError
        record(trainer, norm)

    monkeypatch.setattr(Trainer, "_record_step", record_or_die)
    configuration = student(workspace, "latest", kind, **both, TRAIN_OUTPUT_ROOT=str(tmp_path / "killed"))
    with pytest.raises(KilledError):
        train(configuration, lambda run, network: None)
    # A newer run that "latest" would be by now.
    shutil.copytree(find_teacher("regression", teachers, ["ann"]), tmp_path / "killed/990101_000000_newer")
    run = train(configuration, lambda run, network: None, resume=NEWEST).run.path
    for name in ("training_state/task_state.json", "training_state/optimizer_state.safetensors", "model.safetensors"):
        assert (run / FOLDER / last / name).read_bytes() == (whole / FOLDER / last / name).read_bytes()
    assert json.loads((run / "configs/distillation.json").read_text())["teacher"] == "250101_000000_teacher"
    lines = (whole / "metrics.csv").read_text()
    term = "diffusion" if kind == "diffusion" else "mse"
    assert all(f"{group}/{term}" in lines for group in ("recorded", "synthetic", "distillation"))
    state = json.loads((whole / FOLDER / last / "training_state/task_state.json").read_text())
    items = "sequences" if kind == "regression" else "clips"
    assert f"distillation_{items}" in json.dumps(state)


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_run_that_cannot_teach_is_refused(workspace: Path, tmp_path: Path) -> None:
    root = workspace / "output_train"
    with pytest.raises(UserError, match=r"there is no training run 'regresion'; did you mean '\d+_\d+_regression'"):
        find_teacher("regresion", root, ["ann"])
    with pytest.raises(UserError, match=r"was trained on ann, and cannot teach bob"):
        find_teacher("regression", root, ["ann", "bob"])
    with pytest.raises(UserError, match="there is no finished offline network of bob in a training run yet"):
        find_teacher("latest", root, ["bob"])
    unfinished = shutil.copytree(find_teacher("regression", root, ["ann"]), tmp_path / "260101_000000_half")
    (unfinished / "weights.safetensors").unlink()
    with pytest.raises(UserError, match="is not finished"):
        find_teacher("half", tmp_path, ["ann"])
    record = json.loads((unfinished / "network.json").read_text())
    (unfinished / "network.json").write_text(json.dumps({**record, "network_type": "streaming"}))
    with pytest.raises(UserError, match="holds a streaming network, which cannot teach"):
        find_teacher("half", tmp_path, ["ann"])


def test_another_preprocessing_or_emotion_is_refused(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = student(workspace, "regression")
    data = TrainingData.open(configuration.dataset, configuration.train)
    (source,) = data.sources
    own = source.skin
    turned = replace(source)
    turned.__dict__["skin"] = replace(own, matrix=own.matrix[::-1])
    with pytest.raises(UserError, match=r"another preprocessing of actor 'ann': that of run_ann; its coefficients"):
        with_teacher(replace(data, sources=(turned,)), configuration, None)
    clip = data.training_clips[0]
    sad = replace(clip, shot=replace(clip.shot, emotion="sadness"))
    with pytest.raises(UserError, match=r"TEACHER_RUN: .*'sadness'.* in which training clips speak"):
        with_teacher(replace(data, training_clips=(sad,)), configuration, None)


def test_a_teacher_that_knows_the_validation_shots_is_pointed_out(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(distillation.LOGGER, "warning", lambda text, *values: said.append(text % values))
    taught(student(workspace, "regression"))
    assert not said
    taught(student(workspace, "regression", VALIDATION_SHOTS={"ann": ["s2_joy"]}))
    assert "trained on 1 of the 1 validation shots (s2_joy)" in said[-1]


def test_a_folder_without_readable_speech_is_refused(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="DISTILLATION_SPEECH_ROOT: holds no recording"):
        taught(student(workspace, "regression", DISTILLATION_SPEECH_ROOT=str(tmp_path / "empty")))
    (tmp_path / "empty/a.wav").write_bytes(b"no sound")
    shutil.copy(SPEECH / "de_low.wav", tmp_path / "empty")
    with pytest.raises(UserError, match=r"1 of 2 recordings cannot be read: a\.wav \(.+\)"):
        taught(student(workspace, "regression", DISTILLATION_SPEECH_ROOT=str(tmp_path / "empty")))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("DISTILLATION_SHARE=0", "DISTILLATION_SHARE"),
        ("SYNTHETIC_SHARE=0.3", "DISTILLATION_SHARE: 0.7 and SYNTHETIC_SHARE = 0.3 leave less than a tenth"),
        ("TEACHER_RUN=nobody", "TEACHER_RUN: there is no training run 'nobody'"),
    ],
)
@pytest.mark.parametrize("kind", ["streaming", "regression"])
def test_a_configuration_is_refused(kind: str, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(f"quickstart-{kind}", stage="train", overrides=["TEACHER_RUN=somebody", override])


@pytest.mark.parametrize("kind", ["streaming", "diffusion", "regression"])
@pytest.mark.parametrize("teacher", ["diffusion", "regression"])
def test_the_task_trains_on_all_groups(kind: Kind, teacher: str, workspace: Path) -> None:
    module = training_module(kind)
    task = module.open_task(student(workspace, teacher, kind, BATCH_SIZE=3), make_fabric("cpu", "float32"), None)
    batches = task.batches(0, 0)
    batch = next(each for each in batches if len(each.group_sizes) == 2 and all(each.group_sizes.values()))
    losses = task.losses(task.network, batch)
    counts = dict(batch.group_sizes)
    assert set(counts) == {"recorded", "distillation"}
    (term,) = {"mse", "diffusion"} & set(losses)
    parts = sum(counts[group] * losses[f"{group}/{term}"].item() for group in counts)
    assert losses[term].item() == pytest.approx(parts / sum(counts.values()), rel=1e-5)
    assert losses[f"distillation/{term}"].item() > 0
