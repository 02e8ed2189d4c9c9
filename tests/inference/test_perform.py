"""From a recording to a finished animation: network, animator, rates, parameters, blend shapes, blinks."""

from __future__ import annotations

import dataclasses
import json
import logging
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_graphs import write_graph
from small_models import DIFFUSION, write_model

import audio2face
from audio2face.animation import NATURAL_BLINK, BlinkTrack, attach_to_jaw, unproject
from audio2face.animation.animation import Animation
from audio2face.audio import read_track
from audio2face.errors import UserError
from audio2face.inference import Executor, TrackSettings
from audio2face.inference.actor import WeightTrack
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.inference.retiming import FrameBlock, Retimer
from audio2face.io.atomic import write_npz
from audio2face.model_folder import DeployedModel
from audio2face.model_folder.writer import blendshape_names
from audio2face.types import Float32Array

NTSC = Fraction(30000, 1001)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """1.7 seconds at 22,050 Hz."""
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 37485), 22050)
    return path


def set_shapes(folder: Path, neutral: Float32Array, deltas: Float32Array) -> None:
    """Replaces the blend shapes of the skin."""
    names = blendshape_names("skin", "ada")
    poses = dict(zip("abcdef", deltas, strict=True))
    write_npz(
        folder / names["data"],
        {"poseNames": np.array(["neutral", *poses], "S"), "neutral": neutral, **poses},
    )
    settings = json.loads((folder / names["config"]).read_text())["blendshape_params"]
    settings |= {"numPoses": 6, "bsSolveActivePoses": [1] * 6, "bsWeightMultipliers": [1.5] * 6}
    settings |= {name: [-1] * 6 for name in ("bsSolveCancelPoses", "bsSolveSymmetryPoses")}
    settings["bsWeightOffsets"] = [0.0] * 6
    (folder / names["config"]).write_text(json.dumps({"blendshape_params": settings}))


def perform(folder: Path, audio: Path, **changes: object) -> Animation:
    settings = AnimationOptions(**{"actor": "ada", **changes})  # type: ignore[arg-type]
    return AnimationPipeline(DeployedModel.open(folder), settings).animate(audio, folder)


def test_all_parts_of_a_face(deployed: Path, speech: Path) -> None:
    made = perform(deployed, speech)
    fps, model = (60 if deployed.name == "diffusion" else 30), DeployedModel.open(deployed)
    frames = int(np.ceil(1.7 * fps))
    assert (made.fps, made.num_frames, made.actor) == (fps, frames, "ada")
    assert made.tongue is not None
    assert made.skin_weights is not None
    assert made.tongue_weights is not None
    assert (made.skin.frames.shape, made.tongue.frames.shape) == ((frames, 12, 3), (frames, 5, 3))
    assert (made.jaw.shape, made.eyes.shape) == ((frames, 4, 4), (frames, 4))
    assert made.emotions == model.info.emotions
    np.testing.assert_array_equal(made.emotion, np.tile(np.float32(model.info.default_emotion), (frames, 1)))
    assert made.skin_weights.names == ("jawOpen", "mouthLeft", "mouthRight")
    assert made.skin_weights.values.shape == (frames, 3)
    assert np.ptp(made.skin.frames, axis=0).min() > 0
    assert made.facts["network"] == deployed.name
    assert made.facts["emotion"] == ("neutral" if deployed.name == "regression" else "anger") + " (the model's default)"
    assert [path.name for path in deployed.iterdir() if path.name.startswith(".")] == []


def test_where_shapes_are_the_basis_their_weights_are_the_networks_own(
    regression: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network gives weights of six shapes; mesh and weights agree, and nothing is solved but the tongue."""
    data = regression / "model_data.npz"
    with np.load(data) as stored:
        arrays = dict(stored)
    set_shapes(regression, arrays["shapes_mean_skin"], deltas := 0.1 * arrays["shapes_matrix_skin"])
    write_npz(data, {**arrays, "shapes_matrix_skin": deltas})
    solved: list[int] = []
    solve = WeightTrack.__call__

    def counted(self: WeightTrack, positions: Float32Array) -> Float32Array:
        solved.append(positions.shape[1])
        return solve(self, positions)

    monkeypatch.setattr(WeightTrack, "__call__", counted)
    for fps in (None, NTSC):  # also between the frames of the network
        made = perform(regression, speech, fps=fps)
        assert made.skin_weights is not None
        assert made.tongue_weights is not None
        assert made.skin_weights.names == tuple("abcdef")
        weights = made.skin_weights.values
        assert weights.min() >= 0
        assert weights.max() <= 1
        assert np.ptp(weights, axis=0).max() > 0.1
        posed = made.skin_weights.neutral + np.tensordot(weights, made.skin_weights.deltas, axes=1)
        np.testing.assert_allclose(made.skin.frames, posed, atol=1e-5)
    assert set(solved) == {5}  # vertices of the tongue
    assert made.facts["skin_weights"] == "predicted by the network"
    pipeline = AnimationPipeline(DeployedModel.open(regression), AnimationOptions(actor="ada", solver=None))
    assert pipeline.weight_parts == ("skin",)


def test_a_stream_gives_the_same_weights(regression: Path, speech: Path) -> None:
    data = regression / "model_data.npz"
    with np.load(data) as stored:
        arrays = dict(stored)
    set_shapes(regression, arrays["shapes_mean_skin"], arrays["shapes_matrix_skin"])
    whole = perform(regression, speech)
    stream = audio2face.load(regression).stream(samplerate=16_000)
    stream.push(read_track(speech, 16_000, resampler=DeployedModel.open(regression).info.resampler).data)
    stream.finish()
    frames = list(stream.frames())
    assert whole.skin_weights is not None
    assert stream.weight_names["skin"] == whole.skin_weights.names
    np.testing.assert_array_equal([frame.skin_weights for frame in frames], whole.skin_weights.values)


def test_each_stage_is_called_as_it_should_be(deployed: Path, speech: Path) -> None:
    """The same by hand, all frames at once: streaming changes no bit."""
    pipeline = AnimationPipeline(model := DeployedModel.open(deployed), AnimationOptions(actor="ada"))
    executor = Executor.open(model, [TrackSettings(emotion=pipeline.emotion.curve, actor="ada")])
    executor.push(0, read_track(speech, resampler=model.info.resampler).data)
    executor.close(0)
    values = np.concatenate([motion.values for motion in executor.run()])
    info, actor = model.info, pipeline.actor
    if info.predicts_coefficients:
        skin = unproject(values[:, :6], actor.array("shapes_matrix_skin"))
        tongue = unproject(values[:, 6:9], actor.array("shapes_matrix_tongue"))
    else:
        skin, tongue = values[:, :36], values[:, 36:51]
    face = pipeline.animator()(skin, tongue, values[:, -19:-4], values[:, -4:])
    made = pipeline.animate(speech, deployed)
    assert made.tongue is not None
    for found, expected in (
        (made.skin.frames, face.skin),
        (made.tongue.frames, attach_to_jaw(face.tongue, face.jaw, np.eye(4, dtype=np.float32))),
        (made.jaw, face.jaw),
        (made.eyes, face.eyes),
    ):
        np.testing.assert_array_equal(found, expected)
    again = pipeline.animate(speech, deployed)
    assert made.skin_weights is not None
    assert again.skin_weights is not None
    np.testing.assert_array_equal(again.skin_weights.values, made.skin_weights.values)


@pytest.mark.parametrize("fps", [Fraction(24), NTSC, Fraction(60), Fraction(100)])
def test_any_rate(deployed: Path, speech: Path, fps: Fraction) -> None:
    made = perform(deployed, speech, fps=fps)
    assert made.num_frames == np.ceil(1.7 * fps)
    assert made.fps == float(fps)
    if deployed.name == "diffusion":  # straight lines between the network's own frames
        own = perform(deployed, speech)
        times, known = np.arange(made.num_frames) / float(fps), np.arange(own.num_frames) / 60
        expected = np.interp(times, known, own.skin.frames[:, 3, 1])
        np.testing.assert_allclose(made.skin.frames[:, 3, 1], expected, atol=1e-5)


def test_what_rounding_leaves_out_is_held(tmp_path: Path, speech: Path) -> None:
    """At 30 frames per second the SDK's first frame describes sample 533, and belongs into the second place."""
    info = dataclasses.replace(DIFFUSION, num_frames_left_truncate=7, num_frames_center=15, num_frames_right_truncate=8)
    folder = tmp_path / "slow"
    folder.mkdir()
    write_model(folder, info)
    write_graph(folder / "network.onnx", info)
    made = perform(folder, speech, blinks=False)
    assert made.num_frames == 51
    np.testing.assert_array_equal(made.skin.frames[0], made.skin.frames[1])
    assert np.abs(made.skin.frames[1] - made.skin.frames[2]).max() > 1e-3


def test_frames_of_another_rate_in_pieces() -> None:
    random = np.random.default_rng(1)
    turns = np.linspace(0, 2, 41)
    jaw = np.tile(np.eye(4, dtype=np.float32), (41, 1, 1))
    jaw[:, 0, 0] = jaw[:, 1, 1] = np.cos(turns)
    jaw[:, 1, 0], jaw[:, 0, 1] = np.sin(turns), -np.sin(turns)
    jaw[:, 0, 3] = turns
    flat = random.standard_normal((41, 4)).astype(np.float32)
    frames = FrameBlock(flat.reshape(41, 4, 1), flat.reshape(41, 4, 1), jaw, flat, flat[:, :1])
    retime = Retimer(Fraction(20), Fraction(47), first=2)
    made = [retime(frames.select(slice(a, b))) for a, b in ((0, 1), (1, 2), (2, 17), (17, 41))]
    rest = retime.finish(120)
    assert rest is not None
    joined = made[0].concatenate(made[1]).concatenate(made[2]).concatenate(made[3]).concatenate(rest)
    assert len(joined) == 120
    times, known = np.arange(120) / 47, (np.arange(41) + 2) / 20
    np.testing.assert_allclose(joined.eyes[:, 2], np.interp(times, known, flat[:, 2]), atol=1e-5)
    angles = np.arctan2(joined.jaw[:, 1, 0], joined.jaw[:, 0, 0])
    np.testing.assert_allclose(angles, np.interp(times, known, turns), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(joined.jaw), 1, atol=1e-5)


def test_parameters(deployed: Path, speech: Path) -> None:
    still = {"skin_strength": 0.0, "tongue_strength": 0.0, "lip_open_offset": 0.0, "eyelid_open_offset": 0.0}
    made = perform(deployed, speech, parameters=still, blinks=False)
    np.testing.assert_allclose(made.skin.frames, np.broadcast_to(made.skin.neutral, made.skin.frames.shape), atol=1e-6)
    assert made.facts["parameters"]["skin_strength"] == 0
    for changes, problem in (
        ({"skin_strength": 2.5}, "skin_strength is 2.5, expected a number from 0 to 2"),
        ({"skin_strength": float("nan")}, "skin_strength is nan"),
        ({"skin_strenght": 1.0}, "no animation parameter 'skin_strenght'"),
    ):
        with pytest.raises(UserError, match=problem):
            perform(deployed, speech, parameters=changes)


def test_blinks_shut_the_eyes_and_can_be_disabled(deployed: Path, speech: Path) -> None:
    seed = next(seed for seed in range(50) if BlinkTrack(NATURAL_BLINK, 30, seed=seed)(51).max() == 1)
    still, blinking = (perform(deployed, speech, blinks=blinks, seed=seed) for blinks in (False, True))
    assert (still.facts["blinks"], blinking.facts["blinks"]) == ("none", f"seed {seed}")
    shut = DeployedModel.open(deployed).actor("ada").array("eye_close_pose_delta")
    moved = blinking.skin.frames - still.skin.frames
    assert np.abs(moved).max() > 0.5 * np.abs(shut).max()
    assert (np.abs(moved).max(axis=(1, 2)) == 0).any()  # open in between


def test_strength_of_the_sound(deployed: Path, speech: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "audio2face"):
        plain = perform(deployed, speech)
    diffusion = deployed.name == "diffusion"
    assert ("not applied to a diffusion network" in caplog.text) == diffusion
    assert plain.facts["input_gain"] == (1.0 if diffusion else 1.3)
    assert perform(deployed, speech, parameters={"input_strength": 2.0}).facts["input_gain"] == 2.0
    loud = perform(deployed, speech, normalize=True)
    assert np.abs(loud.skin.frames - plain.skin.frames).max() > 1e-4


def test_solvers_and_none(deployed: Path, speech: Path) -> None:
    for method in ("cpu", "admm", "qp"):
        made = perform(deployed, speech, solver=method)
        assert made.skin_weights is not None
        assert made.facts["solver"] == method
    assert perform(deployed, speech, solver=None).skin_weights is None


def test_emotions_over_time(deployed: Path, speech: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.csv"
    keys.write_text("time,joy\n0,0\n1,1\n")
    made = perform(deployed, speech, emotion=str(keys), fps=Fraction(30))
    np.testing.assert_allclose(made.emotion[:, 0], np.clip(np.arange(51) / 30, 0, 1), atol=1e-4)
    assert made.facts["emotion"] == "keys.csv"  # no path of a machine
    assert str(tmp_path) not in str(made.facts)


def test_a_network_that_went_astray(deployed: Path, speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = AnimationPipeline(DeployedModel.open(deployed), AnimationOptions(actor="ada"))
    run = type(pipeline.graph).run

    def astray(*inputs: object) -> object:
        result = run(*inputs)  # type: ignore[arg-type]
        (result[0] if isinstance(result, tuple) else result)[..., 3] = np.nan
        return result

    monkeypatch.setattr(type(pipeline.graph), "run", astray)
    with pytest.raises(UserError, match="NaN or infinity from sample 0 on"):
        pipeline.animate(speech, deployed)


def test_too_little_room(deployed: Path, speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("", (), {"free": 1000}))
    with pytest.raises(UserError, match="GB are free"):
        perform(deployed, speech)


def test_a_broadcast_wave_begins_at_its_time_reference(deployed: Path, speech: Path, tmp_path: Path) -> None:
    samples, rate = soundfile.read(speech, dtype="int16")
    plain, broadcast = tmp_path / "plain.wav", tmp_path / "broadcast.wav"
    soundfile.write(plain, samples, rate)
    content = plain.read_bytes()
    reference = bytes(338) + struct.pack("<Q", 3_600 * rate) + bytes(256)
    broadcast.write_bytes(content[:12] + b"bext" + struct.pack("<I", len(reference)) + reference + content[12:])
    made = perform(deployed, broadcast, fps=Fraction(25))
    assert (made.first_frame, made.timecode(1)) == (90_000, "01:00:00:01")
    assert made.facts["start_timecode"] == "01:00:00:00"
    assert perform(deployed, broadcast, fps=Fraction(25), start=0).first_frame == 0
    assert perform(deployed, broadcast, fps=Fraction(25), start="10:00:00:00").timecode(0) == "10:00:00:00"
    assert "start_frame" not in perform(deployed, plain).facts
    with pytest.raises(UserError, match="no drop frame time code at 25"):
        perform(deployed, plain, fps=Fraction(25), start="10:00:00;00")
