"""Checkpoints: their folder, the states of the optimiser and of all random number generators, and training progress.

A checkpoint holds everything that makes a resumed training give the same bits as an uninterrupted one::

    checkpoints/
        last, best                              names of checkpoints
        00001200/                               one checkpoint, by its step; written as a whole or not at all
            config.json                         type and settings of the network
            model.safetensors, ema.safetensors  weights, and their EMA if there is one
            metrics.json                        validation metrics, where it was validated
            training_state/                     optimiser, random numbers, progress, state of the task
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audio2face.console import LOGGER
from audio2face.errors import FileFormatError, UserError
from audio2face.io.atomic import atomic_folder, write_json, write_text

_OWN = "own."


def get_rng_state(generators: Mapping[str, torch.Generator], device: torch.device) -> dict[str, Tensor]:
    """The states of all random number generators, each a tensor of fixed length.

    These are the global ones of torch, of its device, of numpy and of python, which libraries use, and the task's own.
    """
    states = {"torch": torch.get_rng_state(), "numpy": _numpy_state(), "python": _python_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states | {_OWN + name: generator.get_state() for name, generator in generators.items()}


def set_rng_state(
    states: Mapping[str, Tensor], generators: Mapping[str, torch.Generator], device: torch.device
) -> None:
    """Restores the result of `get_rng_state`.

    Generators of another kind of device than that of the checkpoint keep their state, with a warning.
    """
    torch.set_rng_state(states["torch"].clone())
    _set_numpy_state(states["numpy"])
    _set_python_state(states["python"])
    missing = []
    for name, generator in generators.items():
        state = states.get(_OWN + name)
        if state is not None and state.shape == generator.get_state().shape:
            generator.set_state(state.clone())
        else:
            missing.append(name)
    if device.type != "cpu":
        if device.type in states:
            setter = torch.cuda.set_rng_state if device.type == "cuda" else torch.mps.set_rng_state
            setter(states[device.type].clone())
        else:
            missing.append(device.type)
    if missing:
        LOGGER.warning(
            "random number generators (%s) restart from their seeds: the checkpoint is of another device",
            ", ".join(missing),
        )


@contextmanager
def preserve_rng_state(generators: Mapping[str, torch.Generator], device: torch.device) -> Iterator[None]:
    """Restores the states of all generators at the end of the context."""
    states = get_rng_state(generators, device)
    try:
        yield
    finally:
        set_rng_state(states, generators, device)


def _numpy_state() -> Tensor:
    _, key, position, has_gauss, gauss = np.random.get_state(legacy=True)
    bits = np.frombuffer(np.float64(gauss).tobytes(), np.uint32)
    return torch.from_numpy(np.concatenate([key, [position, has_gauss], bits]).astype(np.int64))


def _set_numpy_state(state: Tensor) -> None:
    values = state.numpy().astype(np.uint32)
    gauss = float(np.frombuffer(values[626:628].tobytes(), np.float64)[0])
    np.random.set_state(("MT19937", values[:624], int(values[624]), int(values[625]), gauss))


def _python_state() -> Tensor:
    _, words, gauss = random.getstate()
    bits = np.frombuffer(np.float64(0.0 if gauss is None else gauss).tobytes(), np.uint32)
    return torch.tensor([*words, gauss is not None, *bits.tolist()], dtype=torch.int64)


def _set_python_state(state: Tensor) -> None:
    values = state.tolist()
    gauss = float(np.frombuffer(np.array(values[626:628], np.uint32).tobytes(), np.float64)[0])
    random.setstate((3, tuple(values[:625]), gauss if values[625] else None))


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Loads the weights of a checkpoint; raises UserError where they do not fit the network."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"the checkpoint's weights do not fit the network: {str(error).splitlines()[-1].strip()}",
            hint="Resume with the version of the framework that the run was started with.",
        ) from error


def dump_optimizer_state(
    optimizer: torch.optim.Optimizer, network: nn.Module
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """The values of `Checkpoint.optimizer` and `Checkpoint.groups`."""
    names = {id(weight): name for name, weight in network.named_parameters()}
    tensors = {
        f"{names[id(weight)]}/{quantity}": value
        for weight, state in optimizer.state.items()
        for quantity, value in state.items()
    }
    groups = [
        {key: value for key, value in group.items() if key != "params"}
        | {"params": [names[id(weight)] for weight in group["params"]]}
        for group in optimizer.param_groups
    ]
    return tensors, groups


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, network: nn.Module, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Restores the result of `dump_optimizer_state`.

    Raises:
        UserError: it is the state of other weights.
    """
    names = {id(weight): name for name, weight in network.named_parameters()}
    order = [[names[id(weight)] for weight in group["params"]] for group in optimizer.param_groups]
    if order != [group["params"] for group in groups]:
        raise UserError(
            "the checkpoint's optimiser holds other weights than are trained now",
            hint="Resume with the settings and the version that the run was started with, or start a new run.",
        )
    numbers = {name: number for number, name in enumerate(name for group in order for name in group)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, quantity = key.rsplit("/", 1)
        state.setdefault(numbers[name], {})[quantity] = value
    plain = [group | {"params": [numbers[name] for name in group["params"]]} for group in groups]
    optimizer.load_state_dict({"state": state, "param_groups": plain})


FOLDER = "checkpoints"
SCHEMA_VERSION = 1
_STATE = "training_state"
_MODEL, _EMA, _CONFIG, _METRICS = "model.safetensors", "ema.safetensors", "config.json", "metrics.json"
_OPTIMIZER, _GROUPS = f"{_STATE}/optimizer_state.safetensors", f"{_STATE}/optimizer_param_groups.json"
_RANDOM, _STEP, _TASK = f"{_STATE}/rng_state.safetensors", f"{_STATE}/training_step.json", f"{_STATE}/task_state.json"


@dataclass
class Progress:
    """Training progress.

    Attributes:
        step: optimiser steps done.
        epoch: present epoch, from 0.
        batch: batches of the epoch that are done.
        seconds: duration of the training, without interruptions.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        config: `Task.network_config`.
        model: all weights by name.
        optimizer: state of the optimiser, named `weight/quantity`.
        groups: the optimiser's parameter groups, weights by name.
        random: states of the random number generators, `[processes, ...]`.
        progress: training progress.
        task: `Task.state`.
        ema: EMA weights by name; None without EMA_DECAY.
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
        """Removes folders that a killed process left half written or half removed."""
        for path in self.folder.glob(".*.tmp"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint, makes it the last, and removes all others but the best.

        An existing checkpoint of the same step has the same content and is kept.

        Raises:
            UserError: it cannot be written; earlier ones stay.
        """
        path = self._path(checkpoint.progress.step)
        if not path.is_dir():
            with atomic_folder(path) as folder:
                _write(folder, checkpoint, path)
        write_text(self.folder / "last", path.name)
        self._prune()
        return path

    def record_metrics(self, step: int, metrics: Mapping[str, float], *, best: bool) -> None:
        """Writes the validation metrics of a saved checkpoint; `best` marks it as the best."""
        path = self._path(step)
        write_json(path / _METRICS, {name: value if isfinite(value) else None for name, value in metrics.items()})
        if best:
            write_text(self.folder / "best", path.name)
            self._prune()

    def last(self) -> Path | None:
        """The newest checkpoint, by the numbers of the folders, which are always whole; None before the first."""
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
            trash = path.with_name(f".{path.name}.removed.tmp")  # a half removed folder is not taken for a checkpoint
            path.rename(trash)
            shutil.rmtree(trash)


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
    """Reads the training progress of a checkpoint; raises UserError as `read_checkpoint`."""
    file = path / _STEP
    values = _read_json(file, dict)
    version = values.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise FileFormatError(
            f"has the layout {version}, known is {SCHEMA_VERSION}",
            path=file,
            hint="Resume with the version of the framework that the run was started with.",
        )
    try:
        return Progress(**values)
    except TypeError as error:
        raise FileFormatError(f"does not hold training progress: {error}", path=file) from error


def read_exported_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint to export: the EMA weights if it has them."""
    ema = path / _EMA
    return _read_tensors(path / _MODEL) | (_read_tensors(ema) if ema.is_file() else {})


def read_metrics(path: Path) -> dict[str, float | None]:
    """The validation metrics of a checkpoint, None where not finite; empty where it was not validated."""
    metrics: dict[str, float | None] = _read_json(path / _METRICS, dict) if (path / _METRICS).is_file() else {}
    return metrics


def save_tensors(tensors: Mapping[str, Tensor], path: Path, label: Path | None = None) -> None:
    """Writes tensors atomically as a safetensors file; `label` replaces the path in messages.

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
            f"cannot be read: {error}", path=path, hint="Remove this checkpoint's folder to resume from another one."
        ) from error
