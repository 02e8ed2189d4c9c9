"""Deployment chooses animation parameters on held-out shots: planted ones are found, the user's are kept."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from small_regression import write_regression_run
from training_runs import ACTOR, NAME, configuration, write_preproc_run, write_training_run

from audio2face.animation import AnimatorSettings, FaceAnimator, unproject
from audio2face.cli import deploy as deploy_command
from audio2face.config_base.tables import NetworkType, base_of
from audio2face.deploy import export_run
from audio2face.deploy.calibration import NEUTRAL, finished_skin
from audio2face.deploy.held_out_motion import ClipMotion, HeldOutMotion, MarkedVertices, PartMotion, choose_clips
from audio2face.inference import EmotionCurve, Executor, TrackSettings
from audio2face.inference.actor import load_face
from audio2face.io.atomic import write_json
from audio2face.model_folder import DeployedModel, RegressionInfo
from audio2face.training.run_folder import VALIDATION_FILE, ValidationClip

REFERENCE = Path(__file__).parents[1] / "data/reference"
SHOTS, SECONDS, RATE, GAIN = ("v1_neutral", "v2_neutral"), 4.0, 16_000, 1.2
LISTS = {"upper": [3, 4, 5], "lower": [9, 10, 11]}


@dataclass(frozen=True)
class Trained:
    """An exported run whose held-out shots move as its network says, times `GAIN`."""

    workspace: Path
    kind: NetworkType

    @property
    def run(self) -> Path:
        return self.workspace / "output_train" / NAME

    @property
    def raw(self) -> Path:
        return self.workspace / "raw"

    @property
    def fps(self) -> float:
        return 30.0 if self.kind == "regression" else 60.0

    def deploy(self, calibrate: bool = True, **config: Any) -> DeployedModel:
        section = {"CONFIG": config, "CALIBRATE_POST_PROCESSING": calibrate}
        if self.kind == "diffusion":
            section["TIMESTEP_RESPACING"] = "2"
        changed = configuration(self.workspace, "deploy", self.kind, inference=section)
        return DeployedModel.open(deploy_command.deploy(changed, NAME, force=True))

    def parameters(self, **config: Any) -> Mapping[str, float]:
        return self.deploy(**config).actor(ACTOR).config.parameters

    def hold_out(self, shots: Sequence[str] = SHOTS, seconds: float = SECONDS) -> None:
        rows = [
            {
                "actor": ACTOR,
                "shot": shot,
                "emotion": "neutral",
                "first": 0,
                "last": round(seconds * self.fps) - 1,
                "fps": self.fps,
                "speaker": ACTOR,
                "audio": str(self.raw / f"audio/{shot}.wav"),
                "audio_start": 0.0,
            }
            for shot in shots
        ]
        write_json(self.run / VALIDATION_FILE, {"clips": rows})

    def move(self, positions: Mapping[str, np.ndarray[Any, Any]]) -> None:
        for shot, skin in positions.items():
            path = self.raw / f"skin/{shot}/{shot}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, skin.astype(np.float32))


def make(workspace: Path, kind: NetworkType) -> Trained:
    """Trained, exported, and its raw data planted."""
    made, artifacts = Trained(workspace, kind), write_preproc_run(REFERENCE, workspace)
    random = np.random.default_rng(0)
    (made.raw / "audio").mkdir(parents=True)
    for shot in SHOTS:
        loudness = np.interp(np.arange(int(SECONDS * RATE)), np.arange(0, 70_000, 2000), random.random(35))
        soundfile.write(made.raw / f"audio/{shot}.wav", 0.2 * loudness * random.standard_normal(len(loudness)), RATE)
    (made.raw / "lips.json").write_text(json.dumps(LISTS))
    paths = {"AUDIO_ROOT": "audio", "SKIN_CACHE_ROOT": "skin", "SKIN_LIP_DIST_VERTEX_LIST_FPATH": "lips.json"}
    dataset: dict[str, Any] = {name: {ACTOR: str(made.raw / path)} for name, path in paths.items()}
    dataset["CACHE_FPS"] = {ACTOR: made.fps}
    write = write_regression_run if kind == "regression" else write_training_run
    write(workspace, artifacts, dataset=dataset)
    if kind == "regression":
        exaggerate(made.run / "weights.safetensors")
    export_run(made.run)
    model = made.deploy()
    made.move({shot: skin_of(made, model, shot, GAIN) for shot in SHOTS})
    return made


def exaggerate(path: Path) -> None:
    """Makes the motion of a regression network of random weights as large as that of a face: centimetres."""
    weights = load_file(path)
    changed = {name: value * (100 if "heads.face.1" in name else 1) for name, value in weights.items()}
    assert any(not torch.equal(changed[name], weights[name]) for name in weights)
    save_file(changed, path)


def skin_of(trained: Trained, model: DeployedModel, shot: str, gain: float) -> np.ndarray[Any, Any]:
    """What the network makes of a shot in the middle of each recorded frame, `[frames, verts, 3]`."""
    samples, _ = soundfile.read(trained.raw / f"audio/{shot}.wav", dtype="float32")
    actor, info = model.actor(ACTOR), model.info
    spoken = TrackSettings(emotion=EmotionCurve.constant(np.zeros(len(info.emotions))), gain=1.0)
    executor = Executor.open(model, [spoken], fps=None)
    if isinstance(info, RegressionInfo):
        samples = samples[round(RATE / trained.fps / 2) :]  # a recorded frame shows the middle of its time
    executor.push(0, samples)
    executor.close(0)
    values = np.concatenate([motion.values for motion in executor.run()])
    if isinstance(info, RegressionInfo):
        skin = unproject(values[:, : info.num_shapes_skin], actor.array("shapes_matrix_skin"))
    else:
        skin = values[:, : info.skin_size].reshape(len(values), -1, 3)
    return actor.neutral_skin + gain * skin


@pytest.fixture(scope="module", params=["diffusion", "regression"])
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make(tmp_path_factory.mktemp("calibrated") / "workspace", request.param)


@pytest.fixture
def trained(prepared: Trained) -> Trained:
    prepared.hold_out()
    return prepared


def report(model: DeployedModel) -> Any:
    return json.loads((model.folder / "calibration.json").read_text())["actors"][ACTOR]


def test_planted_strength_is_found_and_said(trained: Trained, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    model = trained.deploy()
    parameters = model.actor(ACTOR).config.parameters
    assert parameters["lower_face_strength"] == pytest.approx(GAIN, abs=0.06)  # drawn to 1: 8 seconds are little
    assert parameters["skin_strength"] == 1.0
    assert parameters["lower_face_smoothing"] == 0.0
    assert parameters["right_eye_rot_y_offset"] == 0.0
    found = report(model)
    scores = {name: score["error_mm"] for name, score in found["scores"].items()}
    assert scores["finished animation"] < 0.35 * scores["network output"]
    assert scores["finished animation"] < scores["CONFIG without calibration"]
    assert found["parameters"]["lower_face_strength"]["source"] == "calibrated"
    assert found["parameters"]["tongue_strength"]["source"] == "neutral"
    assert "no data of it" in found["parameters"]["eyeballs_strength"]["reason"]
    text = (model.folder / "README.md").read_text()
    assert f"| finished animation | {scores['finished animation']:.2f} mm |" in text
    assert f"| network output | {scores['network output']:.2f} mm |" in text
    assert "3 pairs of lip vertices" in text
    assert f"lower_face_strength {parameters['lower_face_strength']:g}" in caplog.text
    assert deploy_command.check(model.folder) == 0


def test_deploying_again_gives_the_same(trained: Trained) -> None:
    first, second = ((trained.deploy().folder / "calibration.json").read_text() for _ in range(2))
    assert first == second


def test_entries_of_the_user_are_kept(trained: Trained) -> None:
    given = {"lower_face_strength": 1.05, "tongue_height_offset": 0.25}
    parameters = trained.parameters(**given)
    assert {name: parameters[name] for name in given} == given
    assert parameters["upper_face_strength"] == pytest.approx(GAIN, abs=0.06)
    defaults = base_of("inference", trained.kind).defaults["CONFIG"]
    assert parameters["lower_teeth_strength"] == 1.0 != defaults["lower_teeth_strength"]


def test_a_default_that_the_user_writes_down_is_the_users(trained: Trained) -> None:
    defaults = dict(base_of("inference", trained.kind).defaults["CONFIG"])
    model = trained.deploy(**defaults)
    assert model.actor(ACTOR).config.parameters == {name: defaults[name] for name in defaults if "source" not in name}
    scores = report(model)["scores"]
    assert scores["finished animation"] == scores["CONFIG without calibration"]


def test_without_calibration_the_defaults_are_deployed_and_measured(trained: Trained) -> None:
    model = trained.deploy(calibrate=False)
    defaults = base_of("inference", trained.kind).defaults["CONFIG"]
    parameters = model.actor(ACTOR).config.parameters
    assert list(parameters) == [name for name in defaults if not name.startswith("source")]
    assert parameters == {name: defaults[name] for name in parameters}
    scores = report(model)["scores"]
    assert scores["finished animation"]["error_mm"] > 1.5 * scores["network output"]["error_mm"]


def neutral(trained: Trained) -> dict[str, float]:
    defaults = base_of("inference", trained.kind).defaults["CONFIG"]
    return {name: NEUTRAL.get(name, value) for name, value in defaults.items() if not name.startswith("source")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda trained: (trained.run / VALIDATION_FILE).unlink(), "does not record which shots it held out"),
        (lambda trained: trained.hold_out(()), "held out no shot of this actor"),
        (lambda trained: trained.hold_out(("v9_neutral",)), "no longer where training found them"),
        (lambda trained: trained.hold_out(SHOTS, SECONDS + 1), "no longer where training found them"),
        (lambda trained: trained.hold_out(SHOTS[:1], 1.0), "only 1.0 s are held out"),
        (lambda trained: trained.hold_out(SHOTS[:1], 1 / trained.fps), "only 0.0 s are held out"),
    ],
)
def test_neutral_where_nothing_can_be_shown(trained: Trained, change: Any, words: str) -> None:
    change(trained)
    model = trained.deploy()
    assert model.actor(ACTOR).config.parameters == neutral(trained)
    assert words in (model.folder / "calibration.json").read_text()
    assert words in (model.folder / "README.md").read_text()


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Trained:
    """The same, with raw data of its own."""
    (trained.raw / "skin").rename(tmp_path / "skin")
    shutil.copytree(tmp_path / "skin", trained.raw / "skin")
    return trained


@pytest.fixture(autouse=True)
def put_back(prepared: Trained, tmp_path: Path) -> Any:
    yield
    if (tmp_path / "skin").is_dir():
        shutil.rmtree(prepared.raw / "skin")
        (tmp_path / "skin").rename(prepared.raw / "skin")


@pytest.mark.parametrize("still", ["static", "silent and unlike"])
def test_neutral_where_the_truth_stands_still_or_has_nothing_in_common(copied: Trained, still: str) -> None:
    random = np.random.default_rng(1)
    for shot in SHOTS:
        path = copied.raw / f"skin/{shot}/{shot}.npy"
        skin = np.load(path)
        stands = np.broadcast_to(skin[:1], skin.shape)
        copied.move({shot: stands if still == "static" else stands + random.standard_normal((len(skin), 1, 3))})
    assert copied.parameters() == neutral(copied)


def test_one_shot_that_is_gone_leaves_the_others(copied: Trained, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(copied.raw / f"skin/{SHOTS[0]}")
    model = copied.deploy()
    assert report(model)["shots"] == [SHOTS[1]]
    assert f"validation shot {SHOTS[0]} cannot be used" in caplog.text
    assert model.actor(ACTOR).config.parameters["lower_face_strength"] > 1.1


def test_without_a_list_of_lips_what_moves_is_measured(trained: Trained) -> None:
    list_file = trained.raw / "lips.json"
    list_file.rename(trained.raw / "kept.json")
    path = trained.run / "configs/configuration.json"
    content = path.read_text()
    try:
        changed = json.loads(content)
        changed["full"]["dataset"]["SKIN_LIP_DIST_VERTEX_LIST_FPATH"] = {}
        path.write_text(json.dumps(changed))
        model = trained.deploy()
    finally:
        path.write_text(content)
        (trained.raw / "kept.json").rename(list_file)
    found = report(model)
    assert "face that move most" in found["measured_on"]
    assert found["parameters"]["lower_face_strength"]["value"] == pytest.approx(GAIN, abs=0.06)


def test_kept_vertices_are_finished_as_the_whole_face_is(trained: Trained) -> None:
    actor = trained.deploy(lower_face_smoothing=0.02, face_mask_softness=0.2).actor(ACTOR)
    whole = load_face(actor)
    heights = whole.skin[:, 1]
    kept = np.unique([heights.argmin(), heights.argmax(), 3, 7])
    names = ("skin", "lip_open", "eye_close")
    face = dataclasses.replace(whole, **{name: getattr(whole, name)[kept] for name in names})
    delta = np.random.default_rng(0).standard_normal((20, *whole.skin.shape)).astype(np.float32)
    part = PartMotion(delta[:, kept], None, None, None)
    clip = ClipMotion(validation_clip(last=19, fps=30.0), 30.0, part, part)
    none = np.zeros(0, np.int64)
    motion = HeldOutMotion(face, MarkedVertices(kept, None, none, none), (clip,))
    made = finished_skin(motion, clip, np.arange(len(kept)), actor.config.parameters)
    expected = FaceAnimator(whole, AnimatorSettings.from_parameters(actor.config.parameters), 30.0).skin(delta)
    np.testing.assert_allclose(made, expected[:, kept], atol=1e-5)


def validation_clip(**changes: Any) -> ValidationClip:
    values: dict[str, Any] = {
        "actor": ACTOR,
        "shot": "s",
        "emotion": "neutral",
        "first": 0,
        "last": 299,
        "fps": 30.0,
        "speaker": ACTOR,
        "audio": Path("s.wav"),
        "audio_start": 0.0,
    }
    return ValidationClip(**values | changes)


def test_clips_are_few_short_and_in_the_actors_own_voice() -> None:
    voices = [validation_clip(shot=f"s{index:02}", speaker=voice) for index in range(40) for voice in ("aug_b", ACTOR)]
    chosen = choose_clips(voices, ACTOR, frame_by_frame=False)
    assert len(chosen) == 10
    assert {clip.speaker for clip in chosen} == {ACTOR}
    assert sum(clip.num_frames / clip.fps for clip in chosen) <= 60.0
    assert choose_clips(tuple(reversed(voices)), ACTOR, frame_by_frame=False) == chosen
    assert sum(clip.num_frames for clip in choose_clips(voices, ACTOR, frame_by_frame=True)) <= 1200
    assert choose_clips(voices, "ben", frame_by_frame=False) == ()
