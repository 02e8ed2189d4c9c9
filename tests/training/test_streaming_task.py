"""The task of a streaming network: encoders that it refuses, what is trained, and a start from an earlier run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_project import small_project

from audio2face.deploy import export_run
from audio2face.errors import UserError
from audio2face.models import encoders
from audio2face.training.distributed import make_fabric
from audio2face.training.pretrained import load_pretrained_streaming
from audio2face.training.run import train
from audio2face.training.run_folder import WEIGHTS_FILE, TrainingRun
from audio2face.training.streaming import StreamingTask, causal_encoder, load_network, open_task


def task_of(folder: Path, actors: tuple[str, ...] = ("ann",), **changes: object) -> StreamingTask:
    return open_task(small_project(folder, actors, "streaming", **changes), make_fabric("cpu", "float32"), None)


@pytest.mark.parametrize("name", ["a2f-phonetic-bidirectional", "logmel"])
def test_an_encoder_that_hears_the_future_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"needs a causal speech encoder, '{name}' is none"):
        causal_encoder(encoders.create(name))


def test_the_encoder_is_frozen_or_has_a_rate_of_its_own(tmp_path: Path) -> None:
    frozen = task_of(tmp_path, SPEECH_ENCODER_LR_MULT=0.0)
    assert len(frozen.parameter_groups()) == 1
    assert not any(weight.requires_grad for weight in frozen.network.encoder.parameters())
    own, tuned = task_of(tmp_path, SPEECH_ENCODER_LR_MULT=0.1).parameter_groups()
    assert (own.lr_factor, tuned.lr_factor) == (1.0, 0.1)
    assert frozen.learning_rate(0) == pytest.approx(2e-3)
    assert frozen.learning_rate(7) < 0.1 * frozen.learning_rate(0)


def test_a_log_mel_encoder_is_trained_from_scratch_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A2F_WORKSPACE_ROOT", str(tmp_path))
    changes = {"SPEECH_ENCODER": "logmel-causal", "SPEECH_ENCODER_LR_MULT": 0.0, "NUM_EPOCHS": 2}
    task = task_of(tmp_path, **changes)
    own, encoder = task.parameter_groups()
    assert (own.lr_factor, encoder.lr_factor) == (1.0, 1.0)
    run = train(small_project(tmp_path, kind="streaming", **changes), lambda run, network: None).run.path
    trained = load_network(TrainingRun.open(run)).encoder.state_dict()
    torch.manual_seed(42)
    before = encoders.build("logmel-causal").state_dict()
    assert (trained["network.stem.weight"] - before["network.stem.weight"]).abs().max() > 1e-4
    record = export_run(run)  # refuses a graph that differs from the network, over steps in a row
    assert record.parity.is_good
    assert (run / "deploy/network.onnx").stat().st_size < 5_000_000


def test_a_training_starts_from_an_earlier_run_with_another_actor(tmp_path: Path) -> None:
    quick = {"NUM_EPOCHS": 1, "VALIDATION_PERIOD_EPOCHS": 1, "CHECKPOINT_PERIOD_MINUTES": 10.0}
    run = TrainingRun.open(
        train(small_project(tmp_path, kind="streaming", **quick), lambda run, network: None).run.path
    )
    before = load_network(run)
    task = task_of(tmp_path, ("bob", "ann"))
    mean = task.network.mean.clone()
    load_pretrained_streaming(task.network, run.path / WEIGHTS_FILE, task.actors)
    after = task.network
    assert torch.equal(after.output.weight, before.output.weight)
    assert torch.equal(after.actor.weight, before.actor.weight.expand(-1, 2))  # bob starts as the mean of all others
    assert torch.equal(after.mean, mean)
    with pytest.raises(UserError, match=r"features.weight has the shape \[16, 396\], expected \[24, 396\]"):
        wider = task_of(tmp_path, NETWORK_HYPER_PARAMS={"width": 24, "dilations": [1, 2]}).network
        load_pretrained_streaming(wider, run.path / WEIGHTS_FILE, ["ann"])
