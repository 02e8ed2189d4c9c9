"""The tongue of finished animations, carried by the jaw as it was recorded; the solver's tongue, which is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_graphs import write_graph
from small_models import DIFFUSION, write_model

from audio2face.animation import rigid_transforms
from audio2face.animation.animation import Animation
from audio2face.animation.rigid import fit_rigid
from audio2face.config import Configuration, Roots, load
from audio2face.dataset import ActorDataset
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_INDEX, TONGUE_NAMES
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.example.head import Head
from audio2face.inference import Executor, NetworkOutput
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.io.atomic import write_json, write_npy, write_npz
from audio2face.model_folder import AnimationConfig, DeployedModel
from audio2face.model_folder.model import display_name
from audio2face.model_folder.writer import write_actor
from audio2face.preproc import artifacts
from audio2face.preproc.run import preprocess
from audio2face.preproc.tongue import measure_attachment

FPS, FRAMES = 60, 90
TRAINING, HELD_OUT = ("s1_neutral", "s2_neutral"), "s3_neutral"
SKIN = np.arange(0, 4452, 40)  # vertices of the head that stand for its skin
UNCHANGED = {
    "lower_teeth_strength": 1.0,
    "lower_teeth_height_offset": 0.0,
    "lower_teeth_depth_offset": 0.0,
    "tongue_strength": 1.0,
    "tongue_height_offset": 0.0,
    "tongue_depth_offset": 0.0,
}


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square distance of vertices, millimetres."""
    return float(10 * np.sqrt(np.mean(np.sum((one - other) ** 2, axis=-1))))


def write_actor_data(root: Path, rides: bool = True, tongue_pose: float = 0.0) -> None:
    """A small raw dataset of the example head, its mouth opening wide.

    Args:
        root: the folder.
        rides: whether the tongue moves with the jaw.
        tongue_pose: how far the jaw is open in the pose that is taken for the neutral tongue.
    """
    head = Head.open("ada")
    jaw = {}
    for number, shot in enumerate((*TRAINING, HELD_OUT)):
        phase = np.linspace(0, (2 + number) * np.pi, FRAMES)
        weights = np.zeros((FRAMES, len(ARKIT_NAMES)), np.float32)
        weights[:, ARKIT_INDEX["jawOpen"]] = 0.5 * (1 - np.cos(phase))
        weights[:, ARKIT_INDEX["jawLeft"]] = 0.3 * np.sin(phase) ** 2
        tongue = np.zeros((FRAMES, len(TONGUE_NAMES)), np.float32)
        tongue[:, TONGUE_INDEX["tongueTipUp"]] = 0.5 * (1 - np.cos(2 * phase))
        still = weights if rides else np.zeros_like(weights)
        for part, frames in (("skin", head.skin(weights, SKIN)), ("tongue", head.tongue(still, tongue))):
            write_npy(root / f"cache/{part}/{shot}/{shot}.npy", frames)
        jaw[shot] = head.jaw_keypoint_deltas(weights)
        noise = np.random.default_rng(number).uniform(-0.3, 0.3, FRAMES * 16_000 // FPS)
        (root / "audio").mkdir(parents=True, exist_ok=True)
        soundfile.write(root / f"audio/{shot}.wav", noise, 16_000)
    opened = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    opened[:, ARKIT_INDEX["jawOpen"]] = tongue_pose
    write_npy(root / "skin.npy", head.skin_part.vertices[SKIN])
    write_npy(root / "tongue.npy", head.tongue(opened, np.zeros((1, len(TONGUE_NAMES)), np.float32))[0])
    write_json(root / "root.json", head.rigid_tongue.tolist())
    write_npy(root / "jaw.npy", head.jaw_keypoints)
    write_npz(root / "jaw_motion.npz", jaw)


def configure(root: Path, folder: Path) -> Configuration:
    places = {
        "AUDIO_ROOT": "audio",
        "SKIN_CACHE_ROOT": "cache/skin",
        "SKIN_NEUTRAL_FPATH": "skin.npy",
        "TONGUE_CACHE_ROOT": "cache/tongue",
        "TONGUE_NEUTRAL_FPATH": "tongue.npy",
        "TONGUE_RIGID_VERTEX_LIST_FPATH": "root.json",
        "JAW_KEYPOINTS_NEUTRAL_FPATH": "jaw.npy",
        "JAW_ANIM_DATA_FPATH": "jaw_motion.npz",
    }
    values: dict[str, object] = {name: {"ada": str(root / place)} for name, place in places.items()}
    values |= {"ACTOR_NAMES": ["ada"], "CACHE_FPS": {"ada": float(FPS)}, "SHOT_EMOTION_NAMES": ["neutral", "joy"]}
    configs = folder / "configs" / "small"
    configs.mkdir(parents=True)
    (configs / "config_dataset.py").write_text("".join(f"{name} = {value!r}\n" for name, value in values.items()))
    (configs / "config_preproc.py").write_text(f"SKIN_CACHE_SHOTS = TONGUE_CACHE_SHOTS = {{'ada': {list(TRAINING)}}}\n")
    roots = Roots(datasets=root, workspace=folder / "workspace")
    return load("small", stage="preproc", actors=["ada"], roots=roots, configs_folder=configs.parent)


@pytest.fixture(scope="module", params=["consistent", "another pose", "no measurement"])
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ActorDataset, Path]:
    """Held-out data and a deployed folder; the neutral tongue belongs to the jaw's pose, or to another."""
    tmp_path = tmp_path_factory.mktemp("tongue")
    root, folder = tmp_path / "data", tmp_path / "model"
    write_actor_data(root, tongue_pose=0.3 if request.param == "another pose" else 0.0)
    configuration = configure(root, tmp_path)
    run = preprocess(configuration, "ada").run
    dataset = ActorDataset.open("ada", configuration.dataset)
    assert dataset.skin_neutral is not None
    assert dataset.tongue_neutral is not None
    sizes = {"skin_size": dataset.skin_neutral.size, "tongue_size": dataset.tongue_neutral.size}
    info = dataclasses.replace(DIFFUSION, identities=("ada", "ben"), **sizes)
    folder.mkdir()
    write_model(folder, info)
    write_graph(folder / "network.onnx", info)
    skin, still = dataset.skin_neutral, np.zeros_like(dataset.skin_neutral)
    arrays = {"neutral_skin": skin, "lip_open_pose_delta": still, "eye_close_pose_delta": still}
    arrays |= {"neutral_tongue": dataset.tongue_neutral, "neutral_jaw": np.load(root / "jaw.npy")}
    parameters = dict(DeployedModel.open(folder).actors[0].config.parameters)
    write_actor(folder, info, "ada", AnimationConfig(parameters), arrays | {"saccade_rot_matrix": np.zeros((5, 2))})
    with np.load(artifacts.display_file(run.path, "ada")) as display:
        kept = {name: display[name] for name in display.files if request.param != "no measurement" or name == "fps"}
    np.savez(folder / display_name("ada"), **kept)
    return dataset, folder


def perform(
    dataset: ActorDataset, folder: Path, monkeypatch: pytest.MonkeyPatch, **parameters: float
) -> tuple[Animation, Animation, AnimationPipeline]:
    """The held-out shot by a network without error, in the SDK's form; and as it was recorded."""
    true_motion = ground_truth_animation(dataset, HELD_OUT, folder, FPS)
    neutral, root, jaw = dataset.tongue_neutral, dataset.tongue_rigid_vertices, dataset.jaw_keypoints_neutral
    assert neutral is not None
    assert root is not None
    assert jaw is not None
    assert true_motion.tongue is not None
    held = fit_rigid(true_motion.tongue.frames[:, root], neutral[root]).apply(true_motion.tongue.frames)
    moved = jaw @ true_motion.jaw[:, :3, :3].transpose(0, 2, 1) + true_motion.jaw[:, None, :3, 3]
    parts = (true_motion.skin.frames - true_motion.skin.neutral, held - neutral, moved - jaw, np.zeros((FRAMES, 4)))
    values = np.concatenate([part.reshape(FRAMES, -1) for part in parts], axis=1).astype(np.float32)
    run_network = AnimationPipeline.run_network

    def listen(self: AnimationPipeline, executor: Executor, audio: Path) -> Iterator[NetworkOutput]:
        first = 0
        for motion in run_network(self, executor, audio):
            rows = np.clip(np.arange(first, first := first + len(motion.values)), 0, FRAMES - 1)
            yield dataclasses.replace(motion, values=values[rows])

    monkeypatch.setattr(AnimationPipeline, "run_network", listen)
    settings = AnimationOptions(actor="ada", parameters={**UNCHANGED, **parameters}, blinks=False)
    pipeline = AnimationPipeline(DeployedModel.open(folder), settings)
    return pipeline.animate(dataset.shot(HELD_OUT).audio, folder), true_motion, pipeline


def test_tongue_and_teeth_lie_where_they_were_recorded(
    deployed: tuple[ActorDataset, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, true_motion, _ = perform(*deployed, monkeypatch)
    assert made.tongue is not None
    assert true_motion.tongue is not None
    teeth = deployed[0].jaw_keypoints_neutral
    assert teeth is not None
    posed = [teeth @ face.jaw[:, :3, :3].transpose(0, 2, 1) + face.jaw[:, None, :3, 3] for face in (made, true_motion)]
    assert apart(*posed) < 0.01
    assert apart(made.tongue.frames, true_motion.tongue.frames) < 0.1
    # What the figure is when the jaw is forgotten, and how far the tongue moves at all.
    assert apart(true_motion.tongue.frames, true_motion.tongue.frames.mean(axis=0)) > 3
    widest = np.abs(true_motion.jaw[:, 1, :3]).sum(axis=1).argmax()
    assert np.abs(made.tongue.frames[widest] - true_motion.tongue.frames[widest]).max() < 0.05


def test_the_strength_of_the_teeth_is_that_of_the_tongue(
    deployed: tuple[ActorDataset, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"lower_teeth_strength": 1.6, "lower_teeth_height_offset": -0.2, "lower_teeth_depth_offset": 0.1}
    made, true_motion, _ = perform(*deployed, monkeypatch, **changed)
    assert made.tongue is not None
    assert true_motion.tongue is not None

    def on_teeth(face: Animation) -> np.ndarray:
        assert face.tongue is not None
        back = np.linalg.inv(face.jaw)
        return face.tongue.frames @ back[:, :3, :3].transpose(0, 2, 1) + back[:, None, :3, 3]

    assert apart(made.jaw[:, None, :3, 3], true_motion.jaw[:, None, :3, 3]) > 1
    assert apart(on_teeth(made), on_teeth(true_motion)) < 0.1


def test_the_solver_sees_the_tongue_of_the_sdk(
    deployed: tuple[ActorDataset, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _, pipeline = perform(*deployed, monkeypatch)
    assert made.tongue_weights is not None
    executor = pipeline._executor(audio := deployed[0].shot(HELD_OUT).audio)
    animate, frames = pipeline.animator(), []
    for motion in pipeline.run_network(executor, audio):
        frames.append(pipeline.postprocess(motion, animate).tongue)
    pipeline._solvers["tongue"].reset()
    expected = pipeline._solvers["tongue"](np.concatenate(frames)[: made.num_frames])
    assert expected.any()
    np.testing.assert_allclose(made.tongue_weights.values, expected, atol=1e-5)


def test_a_tongue_that_stays_with_the_head_is_left_there(tmp_path: Path) -> None:
    write_actor_data(tmp_path / "data", rides=False)
    dataset = ActorDataset.open("ada", configure(tmp_path / "data", tmp_path).dataset)
    attachment = measure_attachment(dataset, TRAINING)
    assert attachment is not None
    assert not attachment.follows
    assert "assumed to stay with the head" in attachment.notes[0]


def test_a_neutral_of_another_pose_is_measured_and_reported(tmp_path: Path) -> None:
    write_actor_data(tmp_path / "data", tongue_pose=0.3)
    dataset = ActorDataset.open("ada", configure(tmp_path / "data", tmp_path).dataset)
    attachment = measure_attachment(dataset, TRAINING)
    assert attachment is not None
    head = Head.open("ada")
    opened = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    opened[:, ARKIT_INDEX["jawOpen"]] = 0.3
    turn, shift = head.jaw_transforms(opened)
    back = rigid_transforms(head.tongue_part.vertices @ turn[0].T + shift, head.tongue_part.vertices[None])[0]
    np.testing.assert_allclose(attachment.matrix, back, atol=2e-3)
    assert attachment.error < 0.01 < attachment.shift
    assert "from its recorded position on the neutral jaw" in attachment.notes[0]
    assert measure_attachment(dataset, ()) is None
