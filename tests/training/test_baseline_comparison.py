"""The comparison with baselines at the end of a training: its numbers, its verdict, and what it never breaks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_project import small_project

from audio2face.config_base.tables import NetworkType
from audio2face.errors import FileFormatError, UserError
from audio2face.evaluate import intervals
from audio2face.evaluate.baselines import Baseline, fit_baselines
from audio2face.evaluate.lips import LipScore, score_lips
from audio2face.evaluate.ridge import Ridge, speech_features
from audio2face.training import baselines, diffusion
from audio2face.training.baselines import ValidatedClips, clip_features, compare
from audio2face.training.comparison import BaselineComparison
from audio2face.training.data.audio import Recordings
from audio2face.training.data.dataset import TrainingData
from audio2face.training.run import train
from audio2face.types import Float32Array, Float64Array

QUICK: dict[str, Any] = {"VALIDATION_PERIOD_EPOCHS": 1, "CHECKPOINT_PERIOD_MINUTES": 10.0}
TWO_SHOTS: dict[str, Any] = {"VALIDATION_SHOTS": {"ann": ["s2_joy", "s4_neutral"]}}
NAN = float("nan")
NOT_SHOWN = "This network is not shown to be better than a linear map (ridge)"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


def nothing(run: Path, network: torch.nn.Module) -> None:
    """An exporter."""


def opened(folder: Path, actors: tuple[str, ...] = ("ann",)) -> TrainingData:
    shots = dict.fromkeys(actors, TWO_SHOTS["VALIDATION_SHOTS"]["ann"])
    configuration = small_project(folder, actors, **QUICK, VALIDATION_SHOTS=shots)
    return TrainingData.open(configuration.dataset, configuration.train)


@pytest.mark.parametrize("kind", ["diffusion", "regression", "streaming"])
def test_ten_steps_are_not_better_than_the_ridge(
    folder: Path, kind: NetworkType, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(small_project(folder, kind=kind, NUM_EPOCHS=5, **QUICK, **TWO_SHOTS), nothing)
    for text in (capsys.readouterr().out, (result.run.path / "log.log").read_text()):
        assert f"[WARNING] {NOT_SHOWN}" in text
        assert "against baselines, on 2 validation clips of 2 shots:" in text
        assert "nearest neighbour  lip error" in text
    found = BaselineComparison.read(result.run.path)
    assert found is not None
    section = found.readme_section()
    assert section.startswith("## Against baselines\n")
    assert f"**{NOT_SHOWN}" in section
    assert "| neutral | 62.26 mm | undefined |" in section
    # The network's numbers are those of the validation of the exported weights, which are not the last ones.
    summary = json.loads((result.run.path / "summary.json").read_text())
    assert found.step == summary["exported_step"] != summary["steps"]
    own = np.mean(found.lip_error_mm["network output"])
    assert own == pytest.approx(summary["exported_metrics"]["lip_error_mm"], rel=1e-12)


def test_the_ridge_is_that_of_lip_positions_over_whole_recordings(folder: Path) -> None:
    data = opened(folder)
    scores = {0: LipScore(1.0, 0.5), 1: LipScore(1.0, 0.5)}
    found = compare(ValidatedClips(data, None, scores), step=3)
    source = data.sources[0]
    assert source.raw.lip_dist is not None
    marked = np.stack([source.raw.lip_dist.upper, source.raw.lip_dist.lower])

    def shot(name: str, frames: int) -> tuple[Float64Array, Float64Array]:
        """Features and positions of the lips, by another route than coefficients of clips."""
        poses = np.einsum("fc,cvx->fvx", data.motions[name].skin.astype(np.float64), source.skin.matrix)
        (audio,) = {
            clip.audio
            for clip in (*data.training_clips, *data.validation_clips)
            if clip.shot.name == name and clip.audio
        }
        lips = (poses + source.skin.mean)[:frames, marked]
        return speech_features(data.recordings.track(audio), frames, 30.0), lips

    train_shots = [shot("s1_neutral", 120), shot("s3_anger", 141)]
    ridge = Ridge.fit([x for x, _ in train_shots], [y.reshape(len(y), -1) for _, y in train_shots])
    for index, (name, frames) in enumerate((("s2_joy", 95), ("s4_neutral", 110))):
        features, true = shot(name, frames)
        expected = score_lips([ridge.predict(features).reshape(true.shape)], [true])
        assert found.lip_error_mm["ridge"][index] == pytest.approx(expected.error_mm, rel=1e-5)
        assert found.lip_correlation["ridge"][index] == pytest.approx(expected.correlation, abs=1e-4)


def test_a_network_that_knows_the_face_is_better(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "MIN_SHOTS", 2)
    perfect = {0: LipScore(0.0, 1.0), 1: LipScore(0.0, 1.0)}
    for fps in (None, 24.0):  # of a regression network, and of a diffusion network of another rate than the recordings
        found = compare(ValidatedClips(opened(folder), fps, perfect), step=3)
        assert found.is_better
        assert found.verdict.startswith("This network is better than a linear map (ridge)")
        assert "**" not in found.readme_section()


def test_each_actor_has_baselines_of_its_own(folder: Path) -> None:
    data = opened(folder, ("ann", "bob"))
    scores = dict.fromkeys(range(4), LipScore(1.0, 0.5))
    found = compare(ValidatedClips(data, None, scores), step=3)
    assert found.shots == ("ann::s2_joy", "ann::s4_neutral", "bob::s2_joy", "bob::s4_neutral")
    ridge = found.lip_error_mm["ridge"]
    assert ridge[:2] == pytest.approx(ridge[2:], rel=1e-9)  # of the same data
    ann = replace(data, training_clips=tuple(clip for clip in data.training_clips if clip.shot.actor == "ann"))
    assert compare(ValidatedClips(ann, None, {0: scores[0]}), step=3).lip_error_mm["ridge"][0] == ridge[0]
    with pytest.raises(UserError, match="actor 'bob' has no training clip with speech"):
        compare(ValidatedClips(ann, None, scores), step=3)


def test_features_of_a_part_are_those_of_the_whole(folder: Path) -> None:
    data = opened(folder)
    clip = next(clip for clip in data.training_clips if clip.shot.name == "s3_anger")
    late = replace(clip, first=60, last=119)
    whole = clip_features(data, clip, 141, 30.0)
    np.testing.assert_allclose(clip_features(data, late, 60, 30.0), whole[60:120], atol=1e-5)
    thinned = clip_features(data, late, 20, 30.0, stride=3)
    np.testing.assert_allclose(thinned, whole[60:120:3], atol=1e-5)
    shifted = replace(late, audio_offset=-2)  # the recording is two frames early
    np.testing.assert_allclose(clip_features(data, shifted, 60, 30.0), whole[58:118], atol=1e-5)


def test_long_trainings_are_thinned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[int] = []

    def fit(features: list[Float32Array], values: list[Float32Array], neutral: Float64Array) -> tuple[Baseline, ...]:
        frames.extend(map(len, values))
        return fit_baselines(features, values, neutral)

    monkeypatch.setattr(baselines, "MOST_FRAMES", 100)
    monkeypatch.setattr(baselines, "fit_baselines", fit)
    compare(ValidatedClips(opened(folder), None, {0: LipScore(1.0, 0.5)}), step=3)
    assert frames == [40, 47]  # every third of 120 and 141


def test_without_validation_there_is_no_comparison(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = train(small_project(folder, NUM_EPOCHS=1, **QUICK | {"VALIDATION_SHOTS": {}}), nothing)
    assert capsys.readouterr().out.count("no comparison with baselines: there is no validation clip") == 1
    assert BaselineComparison.read(result.run.path) is None


def test_a_failure_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = small_project(folder, NUM_EPOCHS=1, **QUICK)
    run = train(configuration, nothing).run
    verdict = json.loads((run.path / "baselines.json").read_text())["verdict"]
    assert "1 shot is too few to show it; at least 6 are needed" in verdict

    def unreadable(self: Recordings, path: Path) -> None:
        raise UserError("cannot be read", path=path)

    monkeypatch.setattr(Recordings, "track", unreadable)
    monkeypatch.setattr(diffusion.DiffusionValidation, "run", lambda self: {})  # it would read them too
    monkeypatch.setattr(
        diffusion.DiffusionTask,
        "validated_clips",
        lambda self: ValidatedClips(self._data, None, {0: LipScore(1.0, 0.5)}),
    )
    assert train(configuration, nothing, resume=run.name, finish_now=True).run.is_done
    assert "[WARNING] no comparison with baselines: " in capsys.readouterr().out
    assert not (run.path / "baselines.json").exists()


def test_known_numbers(tmp_path: Path) -> None:
    shots = ("a", "b", "c", "d", "e", "f")
    better = BaselineComparison(
        step=7,
        clips=shots,
        shots=shots,
        lip_error_mm={
            "network output": (2.0, 3.0, 4.0, 2.0, 3.0, 4.0),
            "ridge": (2.5, 3.4, 4.6, 2.5, 3.4, 4.6),
            "neutral": (9.0,) * 6,
        },
        lip_correlation={
            "network output": (0.9, 0.8, 0.7, 0.9, 0.8, 0.7),
            "ridge": (0.8, 0.75, 0.6, 0.8, 0.75, 0.6),
            "neutral": (NAN,) * 6,
        },
    )
    assert better.is_better
    assert "This network is better than a linear map (ridge)" in better.verdict
    assert "its lip error differs by -0.50 mm (95 % interval -0." in better.verdict
    assert "| network output | 3.00 mm | 0.800 |" in better.readme_section()
    (tmp_path / "baselines.json").write_text(json.dumps(better.as_json()))
    read = BaselineComparison.read(tmp_path)
    assert read is not None
    assert read.readme_section() == better.readme_section()
    assert np.isnan(read.lip_correlation["neutral"]).all()

    def network(errors: tuple[float, ...], correlations: tuple[float, ...]) -> BaselineComparison:
        return replace(
            better,
            lip_error_mm={**better.lip_error_mm, "network output": errors},
            lip_correlation={**better.lip_correlation, "network output": correlations},
        )

    # One metric alone does not make a better network; nor do many clips of few shots.
    errors, correlations = better.lip_error_mm["network output"], better.lip_correlation["network output"]
    nearer = network(tuple(errors), (0.9, 0.7, 0.6, 0.8, 0.75, 0.6))
    assert nearer.verdict.startswith(f"{NOT_SHOWN} in lip-distance correlation on the validation set")
    three_shots = replace(better, shots=("a", "b", "c") * 2)
    assert "in lip error and lip-distance correlation" in three_shots.verdict
    one_shot = replace(better, shots=("a",) * 6)
    assert "(no interval)" in one_shot.verdict
    diverged = network((NAN, 0.0, 0.0, 0.0, 0.0, 0.0), tuple(correlations))
    assert diverged.verdict.startswith(f"{NOT_SHOWN} in lip error on the validation set")
    assert "its lip error differs by an undefined amount" in diverged.verdict
    still = network(tuple(errors), (NAN,) * 6)
    assert not still.is_better
    assert "| network output | 3.00 mm | undefined |" in still.readme_section()


@pytest.mark.parametrize(
    "change", [{"schema_version": 2}, {"lip_error_mm": {"ridge": [1.0]}}, {"clips": ["a"]}, {"shots": 3}]
)
def test_a_damaged_file(tmp_path: Path, change: dict[str, object]) -> None:
    one = {"network output": (1.0, 2.0), "ridge": (1.0, 2.0)}
    good = BaselineComparison(step=1, clips=("a", "b"), shots=("a", "b"), lip_error_mm=one, lip_correlation=one)
    (tmp_path / "baselines.json").write_text(json.dumps({**good.as_json(), **change}))
    with pytest.raises(FileFormatError, match="no comparison with baselines"):
        BaselineComparison.read(tmp_path)
