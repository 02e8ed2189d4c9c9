"""Raw output of a regression training run: by torch and by the exported graph, at any rate, as files."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from small_regression import database, write_regression_run
from training_runs import ACTOR, NAME, configuration, write_preproc_run

from audio2face.cli import animate as animate_command
from audio2face.deploy import export_run
from audio2face.errors import FileFormatError, UserError
from audio2face.geometry import open_cache
from audio2face.training.inference.animate import Mode, RawInference, RawOptions
from audio2face.training.inference.diffusion import TrainedDiffusion
from audio2face.training.inference.regression import RawRegression, TrainedRegression

REFERENCE = Path(__file__).parents[1] / "data/reference"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrainedRegression:
    """An exported run."""
    workspace = tmp_path_factory.mktemp("exported") / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2F_WORKSPACE_ROOT", str(workspace))
        patch.setenv("A2F_DATASETS_ROOT", str(workspace))
        artifacts = write_preproc_run(REFERENCE, workspace)
        write_regression_run(workspace, artifacts, dataset={"CACHE_FPS": {ACTOR: 30.0}})
        run = workspace / "output_train" / NAME
        export_run(run)
        opened = TrainedRegression.open(run)
        assert opened.run.configuration.roots.workspace == workspace
    return opened


def speech(path: Path, seconds: float, rate: int = 16000) -> Path:
    random = np.random.default_rng(3)
    samples = round(seconds * rate)
    soundfile.write(path, 0.1 * random.standard_normal(samples), rate)
    return path


def raw_options(**changes: Any) -> RawOptions:
    mode = Mode.parse(changes.pop("mode", "offline"))
    return RawOptions(**{"actor": ACTOR, "emotion": "joy", "mode": mode, "device": "cpu", **changes})


def output(model: TrainedRegression, audio: Path, **changes: Any) -> np.ndarray:
    network = RawRegression(model, raw_options(**changes))
    return np.concatenate(list(network.predict(model.read_track(audio), network.options.mode)))


def test_the_exported_network_animates_as_the_trained_one(model: TrainedRegression, tmp_path: Path) -> None:
    audio = speech(tmp_path / "a.wav", 0.9)
    torch_frames, onnx_frames = (output(model, audio, mode=mode) for mode in ("offline", "streaming_stateless_onnx"))
    assert torch_frames.shape == (27, model.info.values)
    np.testing.assert_allclose(torch_frames, onnx_frames, atol=1e-5 * np.ptp(torch_frames))


def test_a_frame_is_the_same_at_every_rate(model: TrainedRegression, tmp_path: Path) -> None:
    audio = speech(tmp_path / "a.wav", 0.5)
    slow, fast = output(model, audio), output(model, audio, fps=Fraction(60))
    assert (len(slow), len(fast)) == (15, 30)
    np.testing.assert_allclose(fast[::2], slow, atol=1e-5)


def test_emotion_source_and_gain_matter(model: TrainedRegression, tmp_path: Path) -> None:
    audio = speech(tmp_path / "a.wav", 0.1)
    plain = output(model, audio)
    for change in ({"emotion": "anger"}, {"source": ("s1_neutral", 0)}, {"gain": 1.3}):
        assert np.abs(output(model, audio, **change) - plain).max() > 1e-4
    np.testing.assert_array_equal(output(model, audio, source=("s2_joy", 1)), plain)
    assert model.implicit_source() == ("s2_joy", 1)
    np.testing.assert_array_equal(model.emotion("neutral")[:16], database().find("s2_joy", 1))
    with pytest.raises(UserError, match="has 3 frames"):
        RawRegression(model, raw_options(source=("s1_neutral", 7)))
    with pytest.raises(UserError, match="'rage' is unknown"):
        RawRegression(model, raw_options(emotion="rage"))


def test_files(model: TrainedRegression, tmp_path: Path) -> None:
    audio = speech(tmp_path / "take.1.wav", 0.7, rate=44100)
    compared = Mode.parse("streaming_stateless_onnx")
    options = raw_options(npy=True, fps=Fraction(24), gain=1.3, compared_with=compared)
    done = RawInference(RawRegression(model, options)).animate(audio, tmp_path)
    stem = "take.1_ann_joy_offline"
    ends = (".xml", "_tongue.xml", ".npy", "_jaw.npy", "_eye.npy", ".json")
    assert [path.name for path in done.files] == [f"{stem}{end}" for end in ends]
    skin, tongue = (open_cache(path) for path in done.files[:2])
    raw, jaw, eyes = (np.load(path) for path in done.files[2:5])
    info = model.info
    assert raw.shape == (17, info.values)
    assert (len(skin), len(tongue), jaw.shape, eyes.shape) == (17, 17, (17, 15), (17, 4))
    shapes, at = model.components("ann", "skin"), info.num_shapes_skin
    expected = shapes.mean + np.tensordot(raw[:, :at], shapes.matrix, axes=1)
    np.testing.assert_allclose(skin[:], expected, atol=1e-4)
    np.testing.assert_array_equal(np.concatenate([jaw, eyes], axis=1), raw[:, at + info.num_shapes_tongue :])
    facts = json.loads(done.files[5].read_text())
    assert (facts["frames"], facts["fps"], facts["gain"]) == (17, 24.0, 1.3)
    assert facts["implicit_emotion"] == ["s2_joy", 1]
    assert facts["compared_with"] == "streaming_stateless_onnx"
    assert done.difference is not None
    assert facts["difference"]["largest_mm"] == done.difference.largest_mm < 0.01


def test_graph_of_another_network_is_refused(model: TrainedRegression, tmp_path: Path) -> None:
    path = model.run.path / "deploy/network_info.json"
    text = path.read_text()
    try:
        path.write_text(text.replace('"buffer_ofs": 4160', '"buffer_ofs": 4000'))
        with pytest.raises(FileFormatError, match="is not the network of this run"):
            output(model, speech(tmp_path / "a.wav", 0.1), mode="streaming_stateless_onnx")
    finally:
        path.write_text(text)


def test_the_other_type_is_refused(model: TrainedRegression) -> None:
    with pytest.raises(UserError, match="holds a network of type 'regression', expected 'diffusion'"):
        TrainedDiffusion.open(model.run.path)


def test_the_stage(
    model: TrainedRegression, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = model.run.path.parents[1]
    rate = {"CACHE_FPS": {ACTOR: 30.0}}
    setup = configuration(workspace, "inference", "regression", dataset=rate)
    monkeypatch.setattr(animate_command, "open_configuration", lambda *_: setup)
    for root in ("WORKSPACE", "DATASETS"):
        monkeypatch.setenv(f"A2F_{root}_ROOT", str(workspace))
    audio = speech(tmp_path / "one.wav", 0.5)
    options = (
        "--audio",
        str(audio),
        "--emotion",
        "anger",
        "--output",
        "npy",
        "--raw-only",
        "--to",
        str(tmp_path / "to"),
    )
    for given, frames in (((), 15), (("--fps", "60", "--compare", "streaming_stateless_onnx"), 30)):
        assert animate_command.main(["small", NAME, *options, *given, "--device", "cpu"]) == 0
        assert len(np.load(tmp_path / "to/one_ann_anger_offline.npy")) == frames
    facts = json.loads((tmp_path / "to/one_ann_anger_offline.json").read_text())
    assert facts["gain"] == 1.3
    assert facts["difference"]["mean_mm"] >= 0
    assert "how far the trained and the exported network are apart" in capsys.readouterr().out
    with pytest.raises(UserError, match="--condition is 'ben'"):
        animate_command.main(["small", NAME, *options, "--condition", "ben"])
