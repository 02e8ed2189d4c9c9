"""Checkpoints on disk: one folder each, written whole or not at all, of safetensors and JSON only.

::

    checkpoints/
        last, best                              text files with the name of a checkpoint
        00001200/                               named after the step
            model.safetensors                   weights
            ema.safetensors                     their running average, where there is one
            config.json                         which network it is
            metrics.json                        how good it is on what is held out, where that was tried
            training_state/
                optimizer_state.safetensors     "<weight>/<quantity>"
                optimizer_param_groups.json
                rng_state.safetensors           generators, [processes, ...]
                training_step.json              how far training is
                task_state.json                 what the task keeps

Knows files, not what is trained.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from audio2face.errors import FileFormatError, UserError
from audio2face.files import atomic_folder, write_json, write_text

FOLDER = "checkpoints"
SCHEMA_VERSION = 1
_STATE = "training_state"
_MODEL, _EMA, _CONFIG, _METRICS = "model.safetensors", "ema.safetensors", "config.json", "metrics.json"
_OPTIMIZER, _GROUPS = f"{_STATE}/optimizer_state.safetensors", f"{_STATE}/optimizer_param_groups.json"
_RANDOM, _STEP, _TASK = f"{_STATE}/rng_state.safetensors", f"{_STATE}/training_step.json", f"{_STATE}/task_state.json"


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        step: steps made.
        epoch: the epoch it is in, from 0.
        batch: batches of that epoch that are done.
        seconds: time it took so far.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """Everything that training needs in order to go on as if it had not stopped.

    Attributes:
        config: which network it is, see `Task.describe`.
        model: all weights by name.
        optimizer: per weight and quantity, named `weight/quantity`.
        groups: the optimiser's groups, weights by name.
        random: states of the generators, `[processes, ...]`.
        progress: how far it is.
        task: see `Task.state`.
        ema: running average of the weights; None without one.
    """

    config: Mapping[str, Any]
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    groups: list[dict[str, Any]]
    random: Mapping[str, Tensor]
    progress: Progress
    task: Mapping[str, Any] = field(default_factory=dict)
    ema: Mapping[str, Tensor] | None = None


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: the folder that holds them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def clear(self) -> None:
        """Removes what a killed process left half written or half removed."""
        for path in self.folder.glob(".*.tmp"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint, makes it the last, and removes all others but the best.

        One of the same step that is there already is the same, and is kept.

        Raises:
            UserError: it cannot be written; earlier ones are as they were.
        """
        path = self._path(checkpoint.progress.step)
        if not path.is_dir():
            with atomic_folder(path) as folder:
                _write(folder, checkpoint, path)
        write_text(self.folder / "last", path.name)
        self._prune()
        return path

    def note_metrics(self, step: int, metrics: Mapping[str, float], *, best: bool) -> None:
        """Writes down how good a checkpoint is that was saved, and whether it is the best so far."""
        path = self._path(step)
        write_json(path / _METRICS, {name: value if isfinite(value) else None for name, value in metrics.items()})
        if best:
            write_text(self.folder / "best", path.name)
            self._prune()

    def last(self) -> Path | None:
        """The newest checkpoint; None before the first. Every folder is whole, so the pointer is not asked."""
        return max(self._all(), default=None)

    def best(self) -> Path | None:
        """The checkpoint marked as best; None where there is none."""
        try:
            path = self.folder / (self.folder / "best").read_text(encoding="utf-8").strip()
        except OSError:
            return None
        return path if path in self._all() else None

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:08d}"

    def _all(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.name.isdecimal() and path.is_dir()]

    def _prune(self) -> None:
        for path in set(self._all()) - {self.last(), self.best()}:
            doomed = path.with_name(f".{path.name}.removed.tmp")  # half removed, it must not pass for whole
            path.rename(doomed)
            shutil.rmtree(doomed)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint; tensors on the CPU.

    Raises:
        UserError: a file is missing, damaged, or of a later version.
    """
    progress = read_progress(path)
    ema = path / _EMA
    return Checkpoint(
        config=_read_json(path / _CONFIG, dict),
        model=_read_tensors(path / _MODEL),
        optimizer=_read_tensors(path / _OPTIMIZER),
        groups=_read_json(path / _GROUPS, list),
        random=_read_tensors(path / _RANDOM),
        progress=progress,
        task=_read_json(path / _TASK, dict),
        ema=_read_tensors(ema) if ema.is_file() else None,
    )


def read_progress(path: Path) -> Progress:
    """Reads how far the training of a checkpoint is; raises UserError as `read_checkpoint`."""
    file = path / _STEP
    values = _read_json(file, dict)
    version = values.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise FileFormatError(
            f"has the layout {version}, known is {SCHEMA_VERSION}",
            path=file,
            hint="Go on with the version of the framework that the run was started with.",
        )
    try:
        return Progress(**values)
    except TypeError as error:
        raise FileFormatError(f"is no training step: {error}", path=file) from error


def read_exported_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint that are meant for use: the running average where there is one."""
    ema = path / _EMA
    return _read_tensors(path / _MODEL) | (_read_tensors(ema) if ema.is_file() else {})


def read_metrics(path: Path) -> dict[str, float | None]:
    """How good a checkpoint is on what is held out; empty where that was not tried, None where not finite."""
    metrics: dict[str, float | None] = _read_json(path / _METRICS, dict) if (path / _METRICS).is_file() else {}
    return metrics


def save_tensors(tensors: Mapping[str, Tensor], path: Path, label: Path | None = None) -> None:
    """Writes tensors atomically as a safetensors file; `label` is what messages call it.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")  # not atomic_write: the library writes to a name, in pieces
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary)
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"could not be written: {error}", path=label or path, hint="Check free disk space.") from error


def _write(folder: Path, checkpoint: Checkpoint, label: Path) -> None:
    save_tensors(checkpoint.model, folder / _MODEL, label)
    if checkpoint.ema is not None:
        save_tensors(checkpoint.ema, folder / _EMA, label)
    save_tensors(checkpoint.optimizer, folder / _OPTIMIZER, label)
    save_tensors(checkpoint.random, folder / _RANDOM, label)
    write_json(folder / _GROUPS, checkpoint.groups)
    write_json(folder / _CONFIG, checkpoint.config)
    write_json(folder / _TASK, checkpoint.task)
    write_json(folder / _STEP, {"schema_version": SCHEMA_VERSION, **asdict(checkpoint.progress)})


def _read_tensors(path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = _read(path, load_file)
    return tensors


def _read_json(path: Path, kind: type) -> Any:
    value = _read(path, lambda file: json.loads(file.read_text(encoding="utf-8")))
    if not isinstance(value, kind):
        raise FileFormatError(f"holds {type(value).__name__}, expected {kind.__name__}", path=path)
    return value


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except (OSError, ValueError, SafetensorError, RecursionError) as error:
        raise FileFormatError(
            f"cannot be read: {error}", path=path, hint="Remove this checkpoint's folder to go on from another one."
        ) from error
