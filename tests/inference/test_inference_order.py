"""What a configuration says to the stage, and the recorded truth beside an animation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio2face.cli import animate as animate_command
from audio2face.config import Configuration, Roots
from audio2face.config.values import freeze, merge
from audio2face.config_base.tables import NetworkType, SectionName, base_of
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.geometry import find_cache, open_cache

RUN = "261123_101500_small"
DATA = Path(__file__).parents[1] / "data/reference/preproc/dataset"
PATHS = {
    "AUDIO_ROOT": "audio",
    "SKIN_CACHE_ROOT": "cache/skin",
    "SKIN_NEUTRAL_FPATH": "geom/skin/neutral_pose.npy",
    "TONGUE_CACHE_ROOT": "cache/tongue",
    "TONGUE_NEUTRAL_FPATH": "geom/tongue/neutral_pose.npy",
    "TONGUE_RIGID_VERTEX_LIST_FPATH": "geom/tongue/rigid_vertex_list.json",
    "JAW_KEYPOINTS_NEUTRAL_FPATH": "xform/jaw_keypoints_neutral.npy",
    "JAW_ANIM_DATA_FPATH": "xform/jaw_keypoints_cache_all.npz",
    "EYE_ANIM_DATA_FPATH": "xform/eye_rotations_all.npz",
}


def configuration(workspace: Path, kind: NetworkType, inference: dict[str, Any]) -> Configuration:
    values: dict[SectionName, dict[str, Any]] = {
        "dataset": {name: {"ada": str(DATA / path)} for name, path in PATHS.items()}
        | {"CACHE_FPS": {"ada": 30.0}, "SHOT_EMOTION_NAMES": ["neutral", "joy", "anger"], "ACTOR_NAMES": ["ada"]},
        "train": {},
        "inference": inference,
    }
    return Configuration(
        name="small",
        stage="inference",
        actors=("ada",),
        network_type=kind,
        roots=Roots(datasets=workspace, workspace=workspace),
        modifiers=freeze(values),
        full=freeze({name: merge(base_of(name, kind).defaults, section) for name, section in values.items()}),
    )


@pytest.fixture
def stage(deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Runs the stage as the launcher would, on a recording called `a.wav`; returns the folder of its results."""
    kind: NetworkType = "diffusion" if deployed.name == "diffusion" else "regression"
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 6400), 16000)
    shutil.copytree(deployed, tmp_path / "output_deploy" / RUN)

    def run(*options: str, **inference: Any) -> Path:
        given = configuration(tmp_path, kind, inference)
        monkeypatch.setattr(animate_command, "open_configuration", lambda *_: given)
        assert animate_command.main(["small", RUN, *options]) == 0
        return tmp_path / "output_inference" / RUN

    return run


def facts(folder: Path, take: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / take / "animation.json").read_text())
    return found


def test_the_configuration_is_followed(stage: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio = str(tmp_path / "a.wav")
    changed = {"CONFIG": {"skin_strength": 0.4, "input_strength": 2.0}}
    folder = stage("--format", "csv", ACTOR_NAME="ada", EMOTION_LABEL="joy", AUDIO_PATH=audio, **changed)
    found = facts(folder, "a_ada_joy")
    assert found["parameters"]["skin_strength"] == 0.4  # what the configuration was given since deployment
    assert "skin_strength is 0.4 as configured, 1.1 as deployed" in capsys.readouterr().out
    assert found["input_gain"] == (1.0 if found["network"] == "diffusion" else 2.0)
    assert (folder / "configs/config_inference_modifier.json").is_file()
    folder = stage("--format", "csv", "--actor", "ada", "--emotion", "neutral", "--set", "skin_strength=0.3", **changed,
                   AUDIO_PATH=audio)  # fmt: skip
    assert facts(folder, "a_ada_neutral")["parameters"]["skin_strength"] == 0.3


def test_a_run_that_was_never_deployed(stage: Any, tmp_path: Path) -> None:
    (tmp_path / "output_deploy").rename(tmp_path / "output_train")
    with pytest.raises(UserError, match=rf"not deployed\n  Run: python run_deploy.py small {RUN}\n"):
        stage("--audio", str(tmp_path / "a.wav"), ACTOR_NAME="ada")


def test_relative_recordings_start_from_the_datasets_too(stage: Any) -> None:
    folder = stage("--audio", "a.wav", "--format", "csv", ACTOR_NAME="ada", EMOTION_LABEL="joy")
    assert (folder / "a_ada_joy").is_dir()
    with pytest.raises(UserError, match="nothing to animate"):
        stage(ACTOR_NAME="ada")


def test_the_sound_of_a_film_is_animated_like_a_recording(stage: Any, tmp_path: Path) -> None:
    import av

    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 17_640)).astype(np.float32)
    with av.open(str(tmp_path / "clip.mov"), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44_100, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    audio = str(tmp_path / "clip.mov")
    folder = stage("--format", "arkit", "page", ACTOR_NAME="ada", EMOTION_LABEL="joy", AUDIO_PATH=audio)
    take = folder / "clip_ada_joy"
    assert facts(folder, "clip_ada_joy")["seconds"] == pytest.approx(0.4, abs=0.001)
    assert soundfile.info(take / "clip_ada_joy.wav").duration == pytest.approx(0.4, abs=0.001)
    assert (take / "clip_ada_joy.html").is_file()


def test_condition_of_another_actor(stage: Any, deployed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if deployed.name == "diffusion":
        stage("--audio", "a.wav", "--format", "csv", ACTOR_NAME="ada", CONDITION="ben", EMOTION_LABEL="joy")
        assert (
            "ada is animated with its own condition; ben as condition applies to network output only"
            in capsys.readouterr().out
        )


def test_truth_and_another_run_beside_it(stage: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(tmp_path / "a.wav", tmp_path / "s2_joy.wav")
    folder = stage("--audio", "s2_joy.wav", "--compare-with", "truth", "--format", "page", ACTOR_NAME="ada",
                   EMOTION_LABEL="joy")  # fmt: skip
    assert "Ground truth" in (folder / "s2_joy_ada_joy/s2_joy_ada_joy.html").read_text()
    stage("--audio", "a.wav", "--compare-with", "truth", "--format", "page", ACTOR_NAME="ada", EMOTION_LABEL="joy")
    assert "no shot 'a' to compare with" in capsys.readouterr().out
    folder = stage("--audio", "a.wav", "--compare-with", RUN, "--format", "page", ACTOR_NAME="ada", EMOTION_LABEL="joy")
    assert (folder / "a_ada_joy/a_ada_joy.html").is_file()


def test_the_recorded_truth(tmp_path: Path) -> None:
    dataset = ActorDataset.open("ada", configuration(tmp_path, "diffusion", {}).dataset)
    made = ground_truth_animation(dataset, "s2_joy", tmp_path)
    skin = open_cache(find_cache(DATA / "cache/skin", "s2_joy").path)
    np.testing.assert_array_equal(made.skin.frames, skin[:][: made.num_frames])
    assert (made.fps, made.actor, made.emotions) == (30, "ada", ("joy",))
    assert made.tongue is not None
    assert made.tongue.frames.shape[1:] == made.tongue.neutral.shape
    jaw = np.load(DATA / "xform/jaw_keypoints_cache_all.npz")["s2_joy"][: made.num_frames]
    rest = np.load(DATA / "xform/jaw_keypoints_neutral.npy")
    moved = np.einsum("fij,pj->fpi", made.jaw[:, :3, :3], rest) + made.jaw[:, None, :3, 3]
    # The best rigid motion is at least as near as none at all, and turns nothing inside out.
    assert np.linalg.norm(moved - rest - jaw) <= np.linalg.norm(jaw)
    np.testing.assert_allclose(np.linalg.det(made.jaw[:, :3, :3]), 1, atol=1e-5)
    eyes = np.load(DATA / "xform/eye_rotations_all.npz")["s2_joy"][: made.num_frames]
    np.testing.assert_allclose(made.eyes, eyes.reshape(-1, 4))
    with pytest.raises(UserError, match="has no shot 's9'"):
        ground_truth_animation(dataset, "s9", tmp_path)
    # At twice the rate a recorded frame, which shows the middle of its time, stands between two others.
    doubled = ground_truth_animation(dataset, "s2_joy", tmp_path, 60)
    assert (doubled.fps, doubled.num_frames) == (60, 2 * made.num_frames)
    np.testing.assert_array_equal(doubled.skin.frames[1::2], made.skin.frames)
    np.testing.assert_allclose(doubled.skin.frames[2::2], (made.skin.frames[:-1] + made.skin.frames[1:]) / 2, atol=1e-5)
    np.testing.assert_allclose(doubled.eyes[1::2], made.eyes)
