"""Regression training from configuration to finished run: speech features, metadata, and pretrained weights."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from small_project import small_project

from audio2face.errors import UserError
from audio2face.model_folder.npz import open_archive
from audio2face.model_folder.regression import EmotionDatabase
from audio2face.model_folder.validation import Diagnostics
from audio2face.models.regression.network import ExportedRegression, RegressionNetwork
from audio2face.training.checkpoint import get_rng_state
from audio2face.training.regression import RegressionTask, load_network, open_task
from audio2face.training.run import TrainingResult, train
from audio2face.training.run_folder import TrainingRun

QUICK: dict[str, Any] = {"NUM_EPOCHS": 2, "VALIDATION_PERIOD_EPOCHS": 1, "CHECKPOINT_PERIOD_MINUTES": 10.0}
HERE = Fabric(accelerator="cpu", devices=1)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


def nothing(run: Path, network: torch.nn.Module) -> None:
    """An exporter."""


def opened(folder: Path, **changes: Any) -> RegressionTask:
    return open_task(small_project(folder, kind="regression", **QUICK | changes), HERE, None)


@pytest.fixture(scope="module")
def result(folder: Path) -> TrainingResult:
    """A finished training."""
    return train(small_project(folder, kind="regression", **QUICK), nothing)


def test_a_run_holds_the_files_of_later_stages(folder: Path, result: TrainingResult) -> None:
    run = TrainingRun.open(result.run.path)
    info = json.loads((run.path / "network_info_full.json").read_text())
    assert info["id"] == {"type": "regression", "actor": "ann", "version": "0.1", "output": "geometry"}
    assert info["audio_params"] == {"buffer_len": 8320, "buffer_ofs": 4160, "samplerate": 16000}
    assert info["params"]["explicit_emotions"] == ["joy", "anger"]
    assert run.network["encoder"]["name"] == "wav2vec2-base"
    assert run.network["encoder"]["options"]["num_layers"] == 2
    assert run.network["settings"]["phonemes"] == {"en": 40}
    assert set(run.summary["exported_metrics"]) == {"skin_error_mm", "lip_error_mm", "lip_correlation"}
    metrics = (run.path / "metrics.csv").read_text()
    for name in ("r2", "losses/mse", "losses/lip_dist", "losses/phoneme", "validation/lip_error_mm"):
        assert f",{name}," in metrics
    assert "speech_features" not in (run.path / "network.json").read_text()


def test_the_trained_network_is_read_back(folder: Path, result: TrainingResult) -> None:
    run, task = TrainingRun.open(result.run.path), opened(folder)
    task.network.load_state_dict(run.weights())
    window, emotion = 0.1 * torch.randn(3, 1, 8320), torch.randn(3, 1, 18)
    with torch.no_grad():
        expected = ExportedRegression(task.network.network)(window, emotion)
        assert torch.equal(ExportedRegression(load_network(run))(window, emotion), expected)


def test_implicit_emotions_are_deployed(result: TrainingResult) -> None:
    run = TrainingRun.open(result.run.path)
    faults = Diagnostics().for_file("implicit_emo_db.npz")
    database = EmotionDatabase.read(open_archive(run.path / "deploy/implicit_emo_db.npz", faults), 16, faults)
    assert database is not None
    assert database.names[-2:] == ("muted_s1_neutral_3", "muted_s2_joy_9")
    assert sum(database.sizes) == len(database.rows) == len(run.weights()["emotions.rows"]) == 120 + 95 + 141 + 110 + 80
    row = database.find("s1_neutral", 40)
    assert row is not None
    assert np.array_equal(row, run.weights()["emotions.rows"][40])


def first_losses(task: RegressionTask) -> dict[str, float]:
    torch.manual_seed(0)
    task.generators["gains"].manual_seed(0)
    losses = task.losses(task.network.train(), next(task.batches(0, 0)))
    return {name: value.item() for name, value in losses.items()}


def test_stored_features_are_those_of_the_encoder_in_evaluation_mode(folder: Path, tmp_path: Path) -> None:
    """Made in the middle of training, they are free of dropout; with it they differ by 30 % of their norm."""
    task = opened(folder, SPEECH_FEATURES_ROOT=str(tmp_path))
    encoder = task.network.network.encoder
    assert encoder is not None
    assert any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in encoder.modules())
    task.network.train()
    encoder.combine.eval()  # a mode that differs from the network's is kept as well
    before = [module.training for module in task.network.modules()]
    batch = next(task.batches(0, 0))
    assert [module.training for module in task.network.modules()] == before
    stored = batch.hidden_layers()
    assert stored is not None
    in_training = task.network.network.extract_hidden_states(batch.audio)
    expected = task.network.eval().network.extract_hidden_states(batch.audio)
    assert relative_difference(in_training, expected) > 0.1
    assert relative_difference(stored, expected) < 1e-3  # they are stored in float16


def relative_difference(values: torch.Tensor, expected: torch.Tensor) -> float:
    return float((values - expected).norm() / expected.norm())


def test_extracting_features_leaves_global_generators_alone(folder: Path, tmp_path: Path) -> None:
    task = opened(folder, SPEECH_FEATURES_ROOT=str(tmp_path))
    task.network.train()
    before = get_rng_state(task.generators, HERE.device)
    next(task.batches(0, 0))
    after = get_rng_state(task.generators, HERE.device)
    assert list(tmp_path.iterdir())
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_first_and_second_training_give_the_same_weights(tmp_path: Path) -> None:
    """The first one extracts the features, the second one reads them; the noise is drawn from torch's generator."""
    configuration = small_project(tmp_path, kind="regression", **QUICK, SPEECH_FEATURE_NOISE=0.3)
    first, second = (TrainingRun.open(train(configuration, nothing).run.path).weights() for _ in range(2))
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_validation_does_not_depend_on_how_features_are_made(folder: Path) -> None:
    tasks = [opened(folder, SPEECH_FEATURES=way) for way in ("fast", "exact")]
    tasks[1].network.load_state_dict(tasks[0].network.state_dict())
    metrics = []
    for task in tasks:
        task.network.eval()
        with torch.no_grad():
            metrics.append(task.validate())
    assert metrics[0] == pytest.approx(metrics[1], rel=2e-3)


def test_a_trained_encoder_extracts_features_at_every_step(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    task = opened(folder, NETWORK_HYPER_PARAMS={"w2v_freeze": False}, SPEECH_FEATURES="fast", BATCH_SIZE=2)
    assert "it runs at every step" in caplog.text
    batch = next(task.batches(0, 0))
    assert batch.hidden is None
    task.losses(task.network.train(), batch)["total"].backward()
    encoder = task.network.network.encoder
    assert encoder is not None
    assert all(weight.grad is not None for name, weight in encoder.named_parameters() if "layers.0.final" in name)


def test_input_branches_can_be_disabled(folder: Path) -> None:
    deaf = opened(folder, NETWORK_HYPER_PARAMS={"use_w2v_features": False})
    assert "phoneme" not in first_losses(deaf)
    assert deaf.network_config()["encoder"] is None
    speech = opened(folder, NETWORK_HYPER_PARAMS={"use_autocorr_features": False}, LOSS_PHONEME_ALPHA=None)
    assert {"mse", "lip_dist"} < set(first_losses(speech))
    with pytest.raises(UserError, match="the network needs an input"):
        opened(folder, NETWORK_HYPER_PARAMS={"use_w2v_features": False, "use_autocorr_features": False})


def test_unknown_languages_are_skipped(folder: Path) -> None:
    clips = [["ann", "s1_neutral", [0, 119], "ann", "en", "s1_neutral.wav", 0]]
    clips += [["ann", "s2_joy", [0, 94], "ann", "xx", "s2_joy.wav", 0]]
    task = opened(folder, CLIPS=clips, VALIDATION_SHOTS={}, AUG_MUTED_SHOTS=[], BATCH_SIZE=1, SEQ_STRIDE=60)
    seen = set()
    for batch in task.batches(0, 0):
        losses = task.losses(task.network.train(), batch)
        assert all(torch.isfinite(loss) for loss in losses.values())
        seen.add((batch.sample_ids[0].split()[0], bool(losses["phoneme"] > 0)))
    assert seen == {("s1_neutral", True), ("s2_joy", False)}


def test_lip_losses_are_weighted_by_emotion(folder: Path) -> None:
    factors = {"neutral": 0.0, "joy": 0.0, "anger": 0.0}
    assert first_losses(opened(folder, LOSS_LIP_DIST_EMO_WEIGHTS=factors))["lip_dist"] == 0


def test_parts_without_data_are_not_trained(folder: Path) -> None:
    task = opened(folder)
    batch = next(task.batches(0, 0))
    valid = np.array([[True, False, True, True]] * len(batch.sample_ids))
    del task._loss_fn._weights["vol_stab_reg"]  # the only loss without a target
    task.losses(task.network.train(), dataclasses.replace(batch, valid=valid))["total"].backward()
    heads = task.network.network.heads
    assert not heads.tongue[1].bias.grad.any()  # type: ignore[union-attr]
    assert heads.face[1].bias.grad.any()  # type: ignore[union-attr]


def test_the_row_that_drives_it_must_exist(folder: Path) -> None:
    setup = small_project(folder, kind="regression", **QUICK)
    inference = dict(setup.full["inference"])
    inference["CONFIG"] = {**inference["CONFIG"], "source_shot": "s1_netural", "source_frame": 3}
    wrong = dataclasses.replace(setup, full={**setup.full, "inference": inference})  # type: ignore[dict-item]
    with pytest.raises(UserError, match="did you mean 's1_neutral'"):
        open_task(wrong, HERE, None)


# --- starting points ---------------------------------------------------------------------------------------------


def test_training_starts_from_a_run(folder: Path, result: TrainingResult) -> None:
    weights = result.run.path / "weights.safetensors"
    task = opened(folder, PRETRAINED_NET_FPATH=str(weights))
    before = TrainingRun.open(result.run.path).weights()
    after = task.network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("network."))
    assert not torch.equal(after["emotions.rows"], before["emotions.rows"])
    with pytest.raises(UserError, match="does not fit the network"):
        opened(folder, PRETRAINED_NET_FPATH=str(weights), LOSS_PHONEME_ALPHA=None)
    with pytest.raises(UserError, match="another form of the speech encoder"):
        opened(folder, PRETRAINED_NET_FPATH=str(weights), NETWORK_HYPER_PARAMS={"w2v_num_layers": 1})


def test_training_starts_from_weights_of_the_reference(folder: Path, tmp_path: Path) -> None:
    network = opened(folder).network.network
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.01)
    torch.save(as_reference(network), tmp_path / "weights.pth")
    trained = opened(folder, PRETRAINED_NET_FPATH=str(tmp_path / "weights.pth")).network.network
    expected = network.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in trained.state_dict().items())


def as_reference(network: RegressionNetwork) -> dict[str, torch.Tensor]:
    from audio2face.training.pretrained import _REGRESSION_NAMES, _TEMPORAL_CONVOLUTIONS, _WAV2VEC_NAMES

    names = {**_REGRESSION_NAMES, "phoneme_regressors.0.": "phonemes.languages.en."}
    names |= {f"w2v_model.{theirs}": f"encoder.model.{ours}" for theirs, ours in _WAV2VEC_NAMES.items()}
    state = {}
    for name, weight in network.state_dict().items():
        start = next((theirs for theirs, ours in names.items() if name.startswith(ours)), None)
        if start is not None:
            own = weight[..., None] if name.startswith(_TEMPORAL_CONVOLUTIONS) and weight.dim() == 3 else weight
            state[start + name.removeprefix(names[start])] = own
    return state
