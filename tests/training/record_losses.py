"""Losses at a few steps of a short training of each network, as recorded in `tests/data/losses.json`.

A change of any computation between data and weights changes them. The total, its terms and the gradient norm are
recorded, since the total alone hardly depends on some terms. After an intended change, record them again, and explain
the change in the commit::

    PYTHONPATH=.:tests/training python tests/training/record_losses.py

The losses are the same on every processor, since none depends on torch's dropout, whose random numbers differ between
builds: diffusion and streaming are trained without dropout; regression has it in the encoder only, and cached features
are extracted in evaluation mode. Phones are given as files. At these learning rates the network learns and rounding
errors stay small: with kernels for older processors (ATEN_CPU_CAPABILITY=default) the values differ by at most 2e-5 of
their magnitude, or 1e-10.
"""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from small_project import small_project

from audio2face.config_base.tables import NetworkType
from audio2face.models.diffusion import network
from audio2face.training.run import train

RECORD = Path(__file__).parents[1] / "data/losses.json"
KINDS: tuple[NetworkType, ...] = ("diffusion", "regression", "streaming")
STEPS = (1, 5, 20)
_SETTINGS: dict[str, Any] = {
    "NUM_EPOCHS": 10,
    "VALIDATION_PERIOD_EPOCHS": 10,
    "CHECKPOINT_PERIOD_MINUTES": 10.0,
    "GRADIENT_ACCUMULATION_STEPS": 1,
    "LOG_PERIOD": 1,
    "AUDIO_RESAMPLER": "hann",  # of the reference: one of its recordings has 44.1 kHz
}
_LEARNING_RATES = {"diffusion": 1e-3, "regression": 1e-5, "streaming": 1e-3}
_DROPOUTS = ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout")


def losses(folder: Path, kind: NetworkType) -> dict[str, dict[str, float]]:
    """Trains in a folder.

    Args:
        folder: an empty workspace.
        kind: kind of the network.

    Returns:
        By step, counted from 1: the total ("loss"), its terms, and the gradient norm.
    """
    changes = {**_SETTINGS, "LEARNING_RATE": _LEARNING_RATES[kind]}
    if kind == "regression":
        changes["PHONEME_TIMES_ROOT"] = {"ann": str(_phone_times(folder / "phonemes"))}
    if kind == "streaming":
        changes |= {
            "NETWORK_HYPER_PARAMS": {"width": 16, "dilations": [1, 2], "dropout": 0.0},
            "SPEECH_FEATURE_NOISE": 0.0,
        }
    configuration = small_project(folder, kind=kind, **changes)
    config = folder / "models/hubert-base/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **dict.fromkeys(_DROPOUTS, 0.0)}))
    with mock.patch.object(network, "_GRU_DROPOUT", 0.0):
        run = train(configuration, lambda run, network: None).run.path
    with (run / "metrics.csv").open(encoding="utf-8") as table:
        rows = [(row["step"], row["metric"], float(row["value"])) for row in csv.DictReader(table)]
    recorded = {
        str(step): {name: value for at, name, value in rows if at == str(step) and _is_recorded(name)} for step in STEPS
    }
    assert all("loss" in found for found in recorded.values())
    return recorded


def _is_recorded(name: str) -> bool:
    return name in ("loss", "gradient_norm") or name.startswith("losses/")


def _phone_times(folder: Path) -> Path:
    """Phones of a fifth of a second each, the same ones in every shot."""
    folder.mkdir(parents=True)
    phones = ["SIL", "M", "AA", "P", "IY", "SIL", "UW"]
    rows = [f"{0.2 * index:.1f}\t{0.2 * index + 0.2:.1f}\t{phone}" for index, phone in enumerate(phones * 2)]
    for shot in ("s1_neutral", "s2_joy", "s3_anger", "s4_neutral"):
        (folder / f"{shot}.txt").write_text("\n".join(["start\tend\tphone", *rows]) + "\n", encoding="utf-8")
    return folder


def main() -> None:
    """Records the losses."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        recorded = {kind: losses(Path(folder) / kind, kind) for kind in KINDS}
    RECORD.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
