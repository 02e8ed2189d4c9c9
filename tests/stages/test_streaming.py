"""A streaming network goes through all stages, and answers live: frames are the same however the audio arrives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import audio2face
from audio2face.audio import read_track
from audio2face.config import Roots, load
from audio2face.config_base.types import Stage
from audio2face.deploy import streaming
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.model_folder import DeployedModel, StreamingInfo, lint
from audio2face.model_folder.streaming import CONFORMANCE_FILE
from audio2face.types import Float32Array
from tools import golden_record

ROOT = Path(__file__).parents[2]
RECORDING = golden_record.DATASET / "audio" / "s2_joy.wav"
TRAIN = """
NETWORK_TYPE = "streaming"
RUN_NAME = "live"
DEVICE = "cpu"
NUM_EPOCHS = 3
SUBSEGMENT_MIN_FRAME = 20
SUBSEGMENT_MAX_FRAME = 30
VALIDATION_SHOTS = {"ann": ["s4_neutral"]}
NETWORK_HYPER_PARAMS = {"width": 16, "dilations": [1, 2]}
"""
SIZE = 5_000_000  # bytes of the graph
LIMIT_MM = streaming.PARITY_LIMIT_MM


class Project:
    """A workspace and a configuration.

    Args:
        folder: where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.workspace = folder, folder / "workspace"
        self.path = [str(ROOT)]
        configuration = folder / "configs" / "live"
        configuration.mkdir(parents=True)
        files = {"dataset": golden_record.DATASET_CONFIG, "preproc": golden_record.PREPROC_CONFIG, "train": TRAIN}
        for section, text in {**files, "inference": ""}.items():
            (configuration / f"config_{section}.py").write_text(text)

    def run(self, stage: Stage, *arguments: str) -> None:
        """Runs a stage in a process of its own, as the host scripts do."""
        roots = Roots(datasets=golden_record.DATASET, workspace=self.workspace)
        file = self.folder / f"{stage}.json"
        load("live", stage=stage, roots=roots, configs_folder=self.folder / "configs").save(file)
        command = [sys.executable, str(ROOT / "runners" / f"run_{stage}.py"), "live", *arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(self.path),
            "A2F_DATASETS_ROOT": str(golden_record.DATASET),
            "A2F_WORKSPACE_ROOT": str(self.workspace),
        }
        done = subprocess.run([*command, "--config-file", str(file)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose actor is preprocessed, and whose network is trained, deployed and has animated a recording."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.run("preproc", "ann")
    project.run("train")
    run = only(project.workspace / "output_train").name
    project.run("deploy", run)
    blocked = project.folder / "without_torch"
    blocked.mkdir()
    (blocked / "torch.py").write_text("raise ImportError('torch is not needed to animate')")
    project.path.insert(0, str(blocked))
    project.run("inference", run, "--audio", str(RECORDING), "--format", "npy", "page")
    return project


@pytest.fixture(scope="module")
def model(project: Project) -> DeployedModel:
    """The deployed folder."""
    return DeployedModel.open(only(project.workspace / "output_deploy"))


def only(folder: Path) -> Path:
    (path,) = (path for path in folder.iterdir() if path.is_dir())
    return path


def test_the_deployed_folder_is_whole_small_and_says_how_long_it_waits(model: DeployedModel) -> None:
    _, found = lint(model.folder)
    assert not [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    assert model.onnx.stat().st_size < SIZE
    text = (model.folder / "README.md").read_text()
    assert "waits for 67 ms of audio" in text
    assert "trtexec" not in text


def test_a_port_can_check_itself(model: DeployedModel) -> None:
    """The graph alone, driven by the vectors of the folder as another program would."""
    assert isinstance(model.info, StreamingInfo)
    session = onnxruntime.InferenceSession(str(model.onnx), providers=["CPUExecutionProvider"])
    with np.load(model.folder / CONFORMANCE_FILE, allow_pickle=False) as vectors:
        state = np.zeros((1, model.info.state_size), np.float32)
        for step, expected in enumerate(vectors["result"]):
            feed = {name: vectors[name][step : step + 1] for name in ("window", "identity", "emotion")}
            result, state = session.run(["result", "next_state"], {**feed, "state": state})
            np.testing.assert_allclose(result[0, 0], expected, atol=1e-3 * np.abs(vectors["result"]).max())
        np.testing.assert_allclose(state[0], vectors["final_state"], atol=1e-3)
        assert np.ptp(vectors["result"], axis=0).max() > 0


def test_animations_are_written_without_torch_and_equal_those_made_from_python(
    project: Project, model: DeployedModel
) -> None:
    folder = only(project.workspace / "output_inference") / "s2_joy_ann_neutral"
    assert {path.suffix for path in folder.iterdir()} >= {".npy", ".html"}
    animation = audio2face.load(model.folder).animate(RECORDING)
    assert np.array_equal(np.load(folder / f"{folder.name}_skin.npy"), animation.skin.frames)
    assert np.ptp(animation.skin.frames, axis=0).max() > 0


def streamed(model: DeployedModel, audio: Float32Array, pieces: list[int]) -> list[tuple[int, Float32Array]]:
    """The skin of each frame of a stream that was cut into pieces, with the samples that had arrived by then."""
    stream = audio2face.load(model.folder).stream(samplerate=16_000)
    found = []
    arrived = 0
    for piece in np.split(audio, np.cumsum(pieces)):
        stream.push(piece)
        arrived += len(piece)
        found += [(arrived, frame.skin) for frame in stream.frames()]
    stream.finish()
    return found + [(arrived, frame.skin) for frame in stream.frames()]


def test_a_stream_equals_the_recording_bit_for_bit_and_waits_no_longer_than_the_look_ahead(
    model: DeployedModel,
) -> None:
    audio = read_track(RECORDING, 16_000, resampler=model.info.resampler).data[:20_000]
    small, large = (streamed(model, audio, pieces) for pieces in ([100] * 199, [7777, 1, 5000]))
    assert len(small) == len(large) == int(np.ceil(len(audio) * 30 / 16_000))
    for one, other in zip(small, large, strict=True):
        assert np.array_equal(one[1], other[1])
    for frame, (arrived, _) in enumerate(small[:-3]):
        needed = frame * 1600 / 3 + 1600 * 2 / 3
        assert needed - 100 <= arrived <= needed + 101


def test_tracks_keep_their_states_apart(model: DeployedModel) -> None:
    """Two tracks of which one pauses give what each gives alone."""
    graph = AnimationPipeline(model, AnimationOptions(solver=None)).graph
    from audio2face.inference import EmotionCurve, Executor, TrackSettings

    random = np.random.default_rng(0)
    sounds = [0.1 * random.standard_normal(8_000).astype(np.float32) for _ in range(2)]
    settings = TrackSettings(emotion=EmotionCurve.constant(np.zeros(len(model.info.emotions), np.float32)))
    alone = []
    for sound in sounds:
        executor = Executor.open(model, [settings], graph=graph)
        executor.push(0, sound)
        alone.append(np.concatenate([output.values for output in executor.run()]))
    both = Executor.open(model, [settings, settings], graph=graph)
    found: list[list[Float32Array]] = [[], []]
    for start in range(0, 8_000, 1_000):
        both.push(0, sounds[0][start : start + 1_000])
        if start >= 4_000:
            both.push(1, sounds[1][2 * (start - 4_000) : 2 * (start - 3_000)])
        for output in both.run():
            found[output.track].append(output.values)
    for one, other in zip(alone, found, strict=True):
        np.testing.assert_allclose(np.concatenate(other), one, rtol=1e-4, atol=1e-4)
