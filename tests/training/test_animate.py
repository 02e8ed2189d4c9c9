"""Stage 4 from a training run to files: whole and stream, torch and the exported network, actors and emotions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from lightning_fabric import Fabric
from small_project import small_project

from audio2face.cli import animate as animate_command
from audio2face.config import Configuration
from audio2face.deploy import export_run
from audio2face.errors import UserError
from audio2face.evaluate import compare_motion
from audio2face.geometry import open_cache
from audio2face.io.atomic import write_json
from audio2face.models.diffusion.network import DiffusionNetwork
from audio2face.models.diffusion.process import make_noise_schedule
from audio2face.training.checkpoint import save_tensors
from audio2face.training.diffusion import open_task
from audio2face.training.inference.animate import Mode, RawInference, RawOptions, SamplingOptions
from audio2face.training.inference.diffusion import RawDiffusion, TrainedDiffusion

RUN = "260101_000000_small"
STEPS = SamplingOptions(make_noise_schedule("cosine", 1000, "2"))
MM = 0.1  # centimetres


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An exported run of two actors, randomly initialised; ben's face is ann's, twice as large and further up."""
    folder = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2F_WORKSPACE_ROOT", str(folder))
        patch.setenv("A2F_DATASETS_ROOT", str(folder))
        write_run(folder)
        yield folder


def write_run(folder: Path) -> None:
    settings: dict[str, Any] = {"SPEECH_ENCODER": "logmel", "TARGET_FPS": 60.0, "SUBSEGMENT_MIN_FRAME": 24}
    settings |= {"SUBSEGMENT_MAX_FRAME": 40, "VALIDATION_SHOTS": {}, "AUG_MUTED_SHOTS": []}
    configuration = small_project(folder, ("ann", "ben"), **settings)
    path = folder / "output_preproc/run_ben/deploy/data_info.json"
    info = json.loads(path.read_text())
    info["scale_skin"] *= 2
    info["translate_skin"][1] += 5
    write_json(path, info)
    task = open_task(configuration, Fabric(accelerator="cpu", devices=1), None)
    network = task.network
    assert isinstance(network, DiffusionNetwork)
    torch.manual_seed(0)
    for head in (network.heads.skin, network.heads.tongue, network.heads.jaw, network.heads.eye):
        torch.nn.init.normal_(head[2].weight, std=0.1)
    with torch.no_grad():
        for weight in network.geometry.parameters():
            weight.mul_(2)  # so that noise matters
    run = folder / "output_train" / RUN
    for name, value in task.metadata_files().items():
        write_json(run / name, value)
    write_json(run / "network.json", task.network_config())
    configuration.save(run / "configs/configuration.json")
    save_tensors(network.state_dict(), run / "weights.safetensors")
    task.export(run)
    export_run(run)


@pytest.fixture(scope="module")
def model(workspace: Path) -> TrainedDiffusion:
    return TrainedDiffusion.open(workspace / "output_train" / RUN)


def speech(path: Path, seconds: float, rate: int = 16000) -> Path:
    random = np.random.default_rng(3)
    samples = round(seconds * rate)
    loudness = 0.5 + 0.5 * np.sin(np.arange(samples) / rate * 9)
    soundfile.write(path, 0.2 * loudness * random.standard_normal(samples), rate)
    return path


def raw_options(**changes: Any) -> RawOptions:
    mode = Mode.parse(changes.pop("mode", "offline"))
    return RawOptions(
        **{"actor": "ann", "condition": "ann", "emotion": "joy", "mode": mode, "sampling": STEPS, **changes}
    )


def motion(model: TrainedDiffusion, audio: Path, **changes: Any) -> np.ndarray:
    inference = RawInference(RawDiffusion(model, raw_options(**changes)))
    return np.concatenate(list(inference.deltas(model.read_track(audio))))


def test_the_exported_network_animates_as_the_trained_one(model: TrainedDiffusion, tmp_path: Path) -> None:
    audio = speech(tmp_path / "a.wav", 1.31)
    torch_frames = motion(model, audio, mode="streaming", condition="ben", emotion="anger")
    onnx_frames = motion(model, audio, mode="streaming_stateless_onnx", condition="ben", emotion="anger")
    assert torch_frames.shape == onnx_frames.shape == (79, model.settings.sizes.total)
    assert np.abs(torch_frames).max() > 10 * MM
    assert np.abs(torch_frames - onnx_frames).max() < 1e-3 * MM


def test_whole_and_stream_agree_after_the_state_has_settled(model: TrainedDiffusion, tmp_path: Path) -> None:
    audio = speech(tmp_path / "a.wav", 3.0)
    whole, stream = motion(model, audio), motion(model, audio, mode="streaming")
    assert whole.shape == stream.shape
    size = model.settings.skin_size
    start, later = (compare_motion(whole[part], stream[part], size) for part in (slice(0, 60), slice(60, 150)))
    assert start.mean_mm > later.mean_mm
    other, delayed = motion(model, audio, seed=1), np.roll(stream, 1, axis=0)
    for wrong in (other, delayed):
        assert compare_motion(whole[60:150], wrong[60:150], size).mean_mm > 5 * later.mean_mm


def test_only_seed_emotion_and_actor_change_the_motion(model: TrainedDiffusion, tmp_path: Path) -> None:
    audio = speech(tmp_path / "a.wav", 0.5)
    first = motion(model, audio, seed=4)
    np.testing.assert_array_equal(first, motion(model, audio, seed=4))
    for change in ({"seed": 5}, {"emotion": "neutral"}, {"condition": "ben"}):
        assert np.abs(first - motion(model, audio, **{"seed": 4, **change})).max() > 0.1 * MM


@pytest.mark.parametrize("mode", ["offline", "streaming"])
def test_ddim_needs_noise_at_the_start_only(model: TrainedDiffusion, tmp_path: Path, mode: str) -> None:
    audio, path = speech(tmp_path / "a.wav", 0.5), tmp_path / "noise.npy"
    noise = np.random.default_rng(0).standard_normal((1, 3, 60, model.settings.sizes.total), np.float32)
    np.save(path, noise)
    ddim = dataclasses.replace(STEPS, deterministic=True)
    first = motion(model, audio, mode=mode, sampling=ddim, noise_path=path)
    noise[:, :2] = 9.0
    np.save(path, noise)
    np.testing.assert_array_equal(first, motion(model, audio, mode=mode, sampling=ddim, noise_path=path))
    assert np.abs(first - motion(model, audio, mode=mode, sampling=STEPS, noise_path=path)).max() > 0.1 * MM


def test_noise_is_generated_block_by_block(model: TrainedDiffusion, tmp_path: Path) -> None:
    many = SamplingOptions(make_noise_schedule("cosine", 1000, "40"))
    audio = speech(tmp_path / "a.wav", 0.02)
    for mode in ("offline", "streaming"):
        assert len(motion(model, audio, mode=mode, sampling=many)) == 2


def test_another_actors_style_starts_from_the_neutral_pose_of_the_face(model: TrainedDiffusion, tmp_path: Path) -> None:
    audio = speech(tmp_path / "a.wav", 0.5)
    skins = {}
    for actor in ("ann", "ben"):
        done = RawInference(RawDiffusion(model, raw_options(actor=actor))).animate(audio, tmp_path)
        assert done.name == f"a_{actor}_ann_joy_offline"
        skins[actor] = open_cache(done.files[0])[:] - model.normalization(actor).skin
    np.testing.assert_allclose(skins["ben"], 2 * skins["ann"], atol=1e-4)
    assert model.normalization("ben").skin[:, 1].mean() - model.normalization("ann").skin[:, 1].mean() == pytest.approx(
        5, abs=1e-3
    )


@pytest.mark.parametrize("mode", ["offline", "streaming_stateless_output_delta", "streaming_stateless_onnx"])
def test_raw_output_matches_the_cached_positions(model: TrainedDiffusion, tmp_path: Path, mode: str) -> None:
    audio = speech(tmp_path / "take.1.wav", 0.7, rate=44100)
    done = RawInference(RawDiffusion(model, raw_options(mode=mode, npy=True))).animate(audio, tmp_path)
    face, sizes = model.normalization("ann"), model.settings.sizes
    suffix = "_delta" if "delta" in mode else ""
    stem = f"take.1_ann_ann_joy_{mode}"
    assert [path.name for path in done.files] == [
        f"{stem}{suffix}.xml",
        f"{stem}_tongue{suffix}.xml",
        f"{stem}.npy",
        f"{stem}_jaw.npy",
        f"{stem}_eye.npy",
        f"{stem}.json",
    ]
    skin, tongue = (open_cache(path) for path in done.files[:2])
    raw, jaw, eyes = (np.load(path) for path in done.files[2:5])
    assert len(raw) == len(skin) == len(tongue) == 42
    deltas = raw if suffix else (raw - face.neutral) * face.scale
    moved = np.concatenate([(skin[:] - face.skin).reshape(42, -1), (tongue[:] - face.tongue).reshape(42, -1)], axis=1)
    np.testing.assert_allclose(moved, deltas[:, : sizes.skin + sizes.tongue], atol=2e-4)
    np.testing.assert_allclose(np.concatenate([jaw, eyes], axis=1), deltas[:, sizes.skin + sizes.tongue :], atol=2e-4)
    facts = json.loads(done.files[5].read_text())
    assert facts["frames"] == 42
    assert facts["audio"] == "take.1.wav"
    if mode == "offline":  # what the reference wrote: prediction x scale + translate
        run = model.run.configuration.roots.workspace / "output_preproc/run_ann"
        info = json.loads((run / "deploy/data_info.json").read_text())
        expected = raw[:, : sizes.skin].reshape(42, -1, 3) * info["scale_skin"] + info["translate_skin"]
        np.testing.assert_allclose(skin[:], expected, atol=1e-3)


@pytest.fixture
def launched(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the stage as the launcher would."""
    monkeypatch.setattr(animate_command, "open_configuration", lambda *_: launched_configuration(workspace))

    def run(*arguments: str) -> Path:
        assert animate_command.main(["small", RUN, "--raw-only", *arguments]) == 0
        return workspace / "output_inference" / RUN

    return run


def launched_configuration(workspace: Path) -> Configuration:
    configuration = small_project(workspace, ("ann", "ben"))
    return dataclasses.replace(configuration, stage="inference")


def test_the_inference_stage(launched: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = speech(tmp_path / "one.a.wav", 0.4), speech(tmp_path / "two.flac", 0.3)
    options = ("--actor", "ben", "--emotion", "anger", "--mode", "streaming", "--compare", "offline", "--seed", "7")
    folder = launched("--audio", str(one), str(two), *options, "--output", "maya", "npy", "--device", "cpu")
    names = {path.name for path in folder.iterdir()}
    for stem in ("one.a_ben_ben_anger_streaming", "two_ben_ben_anger_streaming"):
        assert {f"{stem}{end}" for end in (".xml", ".mc", "_tongue.mc", ".npy", "_jaw.npy", ".json")} < names
    assert {"log.log", "configs"} < names
    assert (folder / "configs/config_inference_full.json").is_file()
    message = capsys.readouterr().out
    assert "streaming and offline differ by" in message
    assert " mm on average" in (folder / "log.log").read_text()
    assert "one.a_ben_ben_anger_streaming.xml" in message
    assert "Next:" in message
    facts = json.loads((folder / "two_ben_ben_anger_streaming.json").read_text())
    assert facts["difference"]["mean_mm"] > 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--mode", "streaming_stateless_trt"], r"TensorRT engines are not run here\n  Use 'streaming_stateless_onnx'"),
        (["--mode", "sideways"], "no inference mode 'sideways'"),
        (["--actor", "cid"], "'cid', an actor that the network was not trained on"),
        (["--condition", "cid", "--actor", "ann"], "CONDITION"),
        (["--actor", "ann", "--emotion", "rage"], "emotion 'rage' is unknown"),
        ([], "the model has several actors"),
        (["--actor", "ann", "--audio", "none.wav"], "no such audio file"),
        (["--actor", "ann", "--mode", "streaming_stateless_onnx", "--device", "mps"], "not on 'mps'"),
    ],
)
def test_unsupported_requests_are_user_errors(launched: Any, tmp_path: Path, options: list[str], problem: str) -> None:
    audio = [] if "--audio" in options else ["--audio", str(speech(tmp_path / "a.wav", 0.2))]
    with pytest.raises(UserError, match=problem):
        launched(*audio, *options)


def test_duplicate_names_and_missing_recordings_are_refused(launched: Any, tmp_path: Path) -> None:
    one, two = speech(tmp_path / "a.wav", 0.2), speech(tmp_path / "a.flac", 0.2)
    with pytest.raises(UserError, match="two recordings would be written as 'a_ann"):
        launched("--actor", "ann", "--audio", str(one), str(two))
    with pytest.raises(UserError, match="nothing to animate"):
        launched("--actor", "ann")
