"""Training from configuration to finished run: what is recorded, refused, exported, and started from."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from small_project import small_project

from audio2face.config import Configuration, Roots
from audio2face.errors import UserError
from audio2face.inventory import scan
from audio2face.models.diffusion.network import DiffusionNetwork
from audio2face.runs import RunFolder
from audio2face.training import diffusion
from audio2face.training.diffusion import load_network, open_task
from audio2face.training.run import NEWEST, TrainingResult, train
from audio2face.training.run_folder import TrainingRun
from audio2face.training.split_record import changed_files, read_test_shots
from audio2face.training.trainer import StopReason

QUICK: dict[str, Any] = {"NUM_EPOCHS": 2, "VALIDATION_PERIOD_EPOCHS": 1, "CHECKPOINT_PERIOD_MINUTES": 10.0}
HERE = Fabric(accelerator="cpu", devices=1)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


def nothing(run: Path, network: torch.nn.Module) -> None:
    """An exporter."""


@pytest.fixture(scope="module")
def result(folder: Path) -> TrainingResult:
    """A finished training of one actor."""
    return train(small_project(folder, **QUICK), nothing)


def opened(configuration: Configuration) -> DiffusionNetwork:
    network = open_task(configuration, HERE, None).network
    assert isinstance(network, DiffusionNetwork)
    return network


def test_a_run_holds_the_files_of_later_stages(folder: Path, result: TrainingResult) -> None:
    run = TrainingRun.open(result.run.path)
    assert result.stop_reason is StopReason.DONE
    assert result.run.is_done
    info = json.loads((run.path / "network_info_full.json").read_text())
    assert info["id"] == {"type": "diffusion", "actor": "ann", "version": "0.1", "output": "geometry"}
    assert info["params"]["explicit_emotions"] == ["joy", "anger"]
    assert info["params"]["num_verts_skin"] == 200
    assert info["default_emotion"] == [0.0, 0.0]
    assert run.preproc["preproc_run_name_full"] == {"ann": "run_ann"}
    assert run.network["encoder"]["name"] == "hubert-base"
    assert run.configuration.train.RUN_NAME == "small"
    assert run.summary["steps"] == 4
    assert set(run.summary["exported_metrics"]) == {"skin_error_mm", "lip_error_mm", "lip_correlation"}
    assert (run.path / "configs/config_train_full.json").is_file()
    assert str(folder) not in (run.path / "network.json").read_text()


def test_a_run_tells_the_inventory(folder: Path, result: TrainingResult) -> None:
    run = next(run for run in scan(Roots(folder, folder)).runs if run.name == result.run.name)
    assert (run.stage, run.status, run.network, run.actors) == ("train", "done", "diffusion", ("ann",))
    assert (run.progress.epoch, run.progress.epochs, run.progress.step) == (2, 2, 4)
    assert set(run.figures) == {"skin_error_mm", "lip_error_mm", "lip_correlation"}
    assert [path.name for path in run.preproc_folders] == ["run_ann"]
    assert run.kept_checkpoints
    assert run.size > run.path.joinpath("weights.safetensors").stat().st_size


def test_the_trained_network_is_read_back(folder: Path, result: TrainingResult) -> None:
    run = TrainingRun.open(result.run.path)
    network, trained = load_network(run), opened(small_project(folder, **QUICK)).eval()
    trained.load_state_dict(run.weights())
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(1, 30, network.settings.sizes.total, generator=generator)
    audio = 0.1 * torch.randn(1, 16000, generator=generator)
    inputs = (noisy, torch.tensor([437]), audio, torch.ones(1, 1), torch.tensor([[0.0, 1.0]]))
    with torch.no_grad():
        assert torch.equal(network(*inputs), trained(*inputs))
    assert torch.equal(network.scale, trained.scale)


_DROP_CAPABILITY, _DAC_OVERRIDE, _DAC_READ_SEARCH = 24, 1, 2  # prctl; linux/capability.h


def obey_permissions() -> None:
    """Takes from the process that is about to start what lets the superuser write anywhere."""
    for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(_DROP_CAPABILITY, capability)


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
@pytest.mark.parametrize("path_in_run", ["", "log.log", "checkpoints", "configs"])
def test_a_read_only_run_is_a_user_error(result: TrainingResult, folder: Path, path_in_run: str) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, 'tests/training')\n"
        "from small_project import small_project\n"
        "from audio2face.training.run import train\n"
        "from audio2face.cli.process import run_stage\n"
        "def main(argv):\n"
        "    configuration = small_project(Path(argv[0]), **eval(argv[2]))\n"
        "    train(configuration, lambda run, network: None, resume=argv[1], finish_now=True)\n"
        "    return 0\n"
        "run_stage(main)\n"
    )
    path = result.run.path / path_in_run
    before = path.stat().st_mode
    path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder), result.run.name, repr(QUICK)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            preexec_fn=obey_permissions,
        )
    finally:
        path.chmod(before)
    assert "Traceback" not in done.stderr
    if path_in_run != "configs":  # which is only read
        assert done.returncode == 2
        assert done.stderr.startswith(f"[ERROR] {path}")


def no_noise(batch: int, values: int, generator: object, device: torch.device) -> Callable[..., torch.Tensor]:
    return lambda step, start, stop: torch.zeros(batch, stop - start, values)


def test_clips_are_validated_as_a_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, which bound memory, change nothing."""
    torch.manual_seed(0)
    task = open_task(small_project(folder, **QUICK), HERE, None)
    task.network.eval()
    for head in (task.network.heads.skin, task.network.heads.tongue):
        torch.nn.init.normal_(head[2].weight, std=0.1)
    monkeypatch.setattr(diffusion, "random_noise", no_noise)  # it would be drawn in another order
    at_once = task.validate()
    short = partial(diffusion.sample_clip, block_frames=7)
    monkeypatch.setattr(diffusion, "sample_clip", short)
    assert task.validate() == pytest.approx(at_once, rel=1e-5, abs=1e-6)


def test_a_finished_run_is_exported_again(folder: Path, result: TrainingResult) -> None:
    configuration = small_project(folder, **QUICK)
    with pytest.raises(UserError, match="no unfinished run"):
        train(configuration, nothing, resume=NEWEST)
    with pytest.raises(UserError, match="is finished"):
        train(configuration, nothing, resume=result.run.name)
    exported: list[Path] = []
    again = train(configuration, lambda run, network: exported.append(run), resume=result.run.name, finish_now=True)
    assert exported == [result.run.path]
    assert again.exported == result.exported


def test_other_settings_are_refused_and_named(folder: Path, result: TrainingResult) -> None:
    changed = {"LEARNING_RATE": 1e-3, "LOG_PERIOD": 3, "SHOT_EMOTION_NAMES": ["neutral", "joy", "anger", "fear"]}
    with pytest.raises(UserError) as caught:
        train(small_project(folder, **{**QUICK, **changed}), nothing, resume=result.run.name, finish_now=True)
    assert "LEARNING_RATE was 5e-05, is 0.001" in str(caught.value)
    assert "SHOT_EMOTION_NAMES" in str(caught.value)
    assert "LOG_PERIOD" not in str(caught.value)


def test_a_failed_export_keeps_the_weights_and_names_the_command(tmp_path: Path) -> None:
    def broken(run: Path, network: torch.nn.Module) -> None:
        raise UserError("no space left")

    with pytest.raises(UserError, match="no space left"):
        train(small_project(tmp_path, **QUICK, VALIDATION_SHOTS={}), broken)
    (run,) = (tmp_path / "output_train").iterdir()
    assert not RunFolder(run).is_done
    assert TrainingRun.open(run).summary["exported_metrics"] == {}  # there is no validation set
    assert "--resume" in (run / "log.log").read_text()
    assert train(small_project(tmp_path, **QUICK, VALIDATION_SHOTS={}), nothing, resume=NEWEST).run.path == run


def test_an_actor_is_added_to_a_trained_network(folder: Path, result: TrainingResult) -> None:
    weights = result.run.path / "weights.safetensors"
    network = opened(small_project(folder, ("bob", "ann"), **QUICK, PRETRAINED_NET_FPATH=str(weights)))
    before = TrainingRun.open(result.run.path).weights()
    after = network.state_dict()
    assert torch.equal(after["actor_projection.weight"], before["actor_projection.weight"].expand(-1, 2))
    assert all(torch.equal(after[name], before[name]) for name in before if not name.startswith("actor_projection"))


def test_a_training_records_its_test_set(folder: Path) -> None:
    configuration = small_project(folder, **QUICK, TEST_SHOTS={"ann": ["s2_joy"]})
    record = read_test_shots(train(configuration, nothing).run.path, configuration.roots)
    assert record is not None
    assert [(shot.shot, shot.in_preprocessing) for shot in record.test] == [("s2_joy", True)]
    assert [file.path.name for file in record.validation] == ["s4_neutral.wav"]
    assert changed_files((*record.files, *record.validation)) == ()


def test_two_actors_are_trained_together(folder: Path) -> None:
    configuration = small_project(folder, ("ann", "bob"), **QUICK, VALIDATION_SHOTS={"bob": ["s4_neutral"]})
    run = train(configuration, nothing).run.path
    assert json.loads((run / "network_info_full.json").read_text())["id"]["actor"] == "multi"
    assert load_network(TrainingRun.open(run)).neutral.shape[0] == 2


def test_training_starts_from_weights_of_the_reference(folder: Path, tmp_path: Path) -> None:
    configuration = small_project(folder, **QUICK)
    network = opened(configuration)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.01)
    torch.save(_as_reference(network), tmp_path / "weights.pth")
    trained = opened(small_project(folder, **QUICK, PRETRAINED_NET_FPATH=str(tmp_path / "weights.pth")))
    expected = network.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in trained.state_dict().items())


def _as_reference(network: DiffusionNetwork) -> dict[str, torch.Tensor]:
    from audio2face.training.pretrained import _DIFFUSION_NAMES

    state = {}
    for name, weight in network.state_dict().items():
        name = re.sub(r"^gru\.layers\.(\d+)\.(\w+)_l0$", r"gru.\2_l\1", name)
        start = next((theirs for theirs, ours in _DIFFUSION_NAMES.items() if name.startswith(ours)), None)
        if start is None:
            state["audio_encoder." + name.removeprefix("encoder.model.")] = weight
        else:
            state[start + name.removeprefix(_DIFFUSION_NAMES[start])] = weight
    return state


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"NETWORK_HYPER_PARAMS": {"feature_dim": 8, "gru_feature_dim": 16}}, "does not fit the network"),
        ({"SHOT_EMOTION_NAMES": ["neutral", "joy", "anger", "fear"]}, "does not fit the network"),
        ({"SPEECH_ENCODER": "logmel"}, "was trained with the speech encoder 'hubert-base'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    folder: Path, result: TrainingResult, changes: dict[str, Any], message: str
) -> None:
    weights = result.run.path / "weights.safetensors"
    with pytest.raises(UserError, match=message):
        opened(small_project(folder, **{**QUICK, **changes}, PRETRAINED_NET_FPATH=str(weights)))


def test_parts_without_data_are_not_trained(folder: Path) -> None:
    task = open_task(small_project(folder, **QUICK), HERE, None)
    batch = next(task.batches(0, 0))
    valid = np.array([[True, False, True, True]] * len(batch.sample_ids))
    torch.manual_seed(0)
    losses = task.losses(task.network.train(), dataclasses.replace(batch, valid=valid))
    losses["total"].backward()
    gradient = task.network.heads.tongue[-1].bias.grad
    assert gradient is not None
    assert not gradient.any()
    assert task.network.heads.jaw[-1].bias.grad.any()
