"""What one run folder tells of itself, read from its records; nothing that is missing or damaged is an error."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from audio2face.config import Roots
from audio2face.errors import UserError
from audio2face.io.claims import is_locked
from audio2face.run_names import CONFIGURATION_FILE
from audio2face.runs import LOCK_FILE, STATUS_FILE

StageName = Literal["preproc", "train", "deploy", "inference"]
STAGES: tuple[StageName, ...] = ("preproc", "train", "deploy", "inference")
SECTIONS = ("dataset", "preproc", "train", "inference")
CHECKPOINTS = "checkpoints"
MODEL_FILE = "model.json"
INPUTS_FILE = "inputs.json"  # of an animation
_DATA = ("AUDIO_ROOT", "SKIN_CACHE_ROOT")  # whose common folder stands for the data set
_TAIL = 4096  # bytes at the end of metrics.csv, which hold its last line
_COLUMNS = 5  # of metrics.csv: step, epoch, minutes, metric, value


@dataclass(frozen=True)
class RunProgress:
    """How far a run has come; None for what does not apply or is not known.

    Attributes:
        epoch: epochs done.
        epochs: NUM_EPOCHS.
        step: optimiser steps done.
        minutes: of training.
        animations: finished ones.
    """

    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    minutes: float | None = None
    animations: int | None = None


@dataclass(frozen=True)
class Run:
    """One run of a stage; what it tells is read when it is asked for.

    Attributes:
        stage: the stage.
        path: the folder.
        roots: where datasets and workspace lie.
    """

    stage: StageName
    path: Path
    roots: Roots = field(repr=False)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.name

    @cached_property
    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """The merged parameters by section, as JSON values; empty where the run records none."""
        full = _mapping(self._configuration.get("full"))
        if not full:
            full = {name: self._object(f"configs/config_{name}_full.json") for name in SECTIONS}
        return {name: _mapping(full.get(name)) for name in SECTIONS if full.get(name)}

    @cached_property
    def configuration(self) -> str | None:
        """Name of the configuration."""
        name = self._configuration.get("name")
        return None if name is None else str(name)

    @cached_property
    def network(self) -> str | None:
        """NETWORK_TYPE, of a run that has a network."""
        if self.stage == "deploy":
            kind = _mapping(self._object("network_info.json").get("id")).get("type")
        else:
            kind = None if self.stage == "preproc" else self.settings.get("train", {}).get("NETWORK_TYPE")
        return None if kind is None else str(kind)

    @cached_property
    def actors(self) -> tuple[str, ...]:
        """Names of the actors."""
        if self.stage == "preproc":
            actor = self._object("configs/actor_info.json").get("actor_name")
            return () if actor is None else (str(actor),)
        if self.stage == "deploy":
            files = self._object(MODEL_FILE).get("modelConfigPaths")
            stems = [str(file).removeprefix("model_config").removesuffix(".json") for file in _list(files)]
            own = _mapping(self._object("network_info.json").get("id")).get("actor")
            return tuple(stem.lstrip("_") for stem in stems if stem) or (() if own is None else (str(own),))
        return tuple(map(str, _list(self.settings.get("dataset", {}).get("ACTOR_NAMES"))))

    @cached_property
    def data(self) -> str | None:
        """The common folder of recordings and caches of the actors, as configured."""
        dataset = self.settings.get("dataset", {})
        tables = [_mapping(dataset.get(name)) for name in _DATA]
        folders = [str(table[actor]) for table in tables for actor in self.actors if actor in table]
        try:
            return PurePosixPath(os.path.commonpath(folders)).as_posix() if folders else None
        except ValueError:
            return None

    @cached_property
    def status(self) -> str:
        """Status: running, done, stopped, failed, killed (it says running, but no process holds it), or unknown."""
        if self.stage in ("deploy", "inference"):
            return "done"
        if is_locked(self.path / LOCK_FILE):
            return "running"
        recorded = str(self._object(STATUS_FILE).get("status", "unknown"))
        return "killed" if recorded == "running" else recorded

    @cached_property
    def progress(self) -> RunProgress:
        """How far it has come."""
        if self.stage == "inference":
            return RunProgress(animations=self._count_animations())
        if self.stage != "train":
            return RunProgress()
        epochs = _whole(self.settings.get("train", {}).get("NUM_EPOCHS"))
        summary = self._object("summary.json") if self.status == "done" else {}
        if summary:
            minutes = summary.get("minutes")
            return RunProgress(_whole(summary.get("epochs")), epochs, _whole(summary.get("steps")), minutes)
        try:
            step, epoch, minutes = self._last_metrics()
        except ValueError:
            return RunProgress(epochs=epochs)
        return RunProgress(epoch - 1, epochs, step, minutes)

    @cached_property
    def figures(self) -> Mapping[str, float]:
        """Held-out metrics of a training's best checkpoint; errors of reconstruction of a preprocessing run."""
        if self.stage == "preproc":
            report = self._object("report/report.json")
            parts = {part: _mapping(report.get(part)).get("reconstruction_error_mm") for part in ("skin", "tongue")}
            found = {f"{part}_pca_error_mm": _mapping(error).get("mean_mm") for part, error in parts.items()}
        elif self.stage == "train":
            kept = [step for step in self.kept_checkpoints if (step / "metrics.json").is_file()]
            found = dict(_read_object(kept[0] / "metrics.json")) if kept else {}
            found = found or dict(_mapping(self._object("summary.json").get("exported_metrics")))
        else:
            return {}
        return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}

    @cached_property
    def checkpoints(self) -> tuple[Path, ...]:
        """The checkpoints of a training, newest first."""
        folder = self.path / CHECKPOINTS
        steps = [path for path in _children(folder) if path.name.isdecimal() and path.is_dir()]
        return tuple(sorted(steps, reverse=True))

    @cached_property
    def kept_checkpoints(self) -> tuple[Path, ...]:
        """The best checkpoint and the last one, which resuming and exporting need."""
        try:
            best = (self.path / CHECKPOINTS / "best").read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            best = ""
        return tuple(dict.fromkeys([*(step for step in self.checkpoints if step.name == best), *self.checkpoints[:1]]))

    @cached_property
    def size(self) -> int:
        """Bytes on the disk."""
        return size_on_disk(self.path)

    @cached_property
    def preproc_folders(self) -> tuple[Path, ...]:
        """The preprocessing runs that a training reads."""
        record = self._object("configs/preproc_info.json")
        names = _mapping(record.get("preproc_run_name_full"))
        root = str(self.settings.get("train", {}).get("PREPROC_ROOT", "output_preproc"))
        recorded = {actor: f"{root}/{name}" for actor, name in names.items()} | _mapping(record.get("preproc_folder"))
        return tuple(dict.fromkeys(path for text in recorded.values() if (path := self.resolve(str(text)))))

    @cached_property
    def pretrained(self) -> Path | None:
        """What a training started from (PRETRAINED_NET_FPATH)."""
        text = self.settings.get("train", {}).get("PRETRAINED_NET_FPATH") if self.stage == "train" else None
        return None if text is None else self.resolve(str(text))

    @cached_property
    def teacher(self) -> Path | None:
        """The training run whose motion a training learns as well (TEACHER_RUN)."""
        name = self._object("configs/distillation.json").get("teacher") if self.stage == "train" else None
        return None if name is None else self.path.parent / str(name)

    def resolve(self, configured: str) -> Path | None:
        """A path of its configuration on this machine; None where there is none."""
        try:
            return self.roots.resolve(configured, "workspace")
        except UserError:
            return None

    @cached_property
    def _configuration(self) -> Mapping[str, Any]:
        return self._object(CONFIGURATION_FILE)

    def _object(self, name: str) -> Mapping[str, Any]:
        return _read_object(self.path / name)

    def _count_animations(self) -> int:
        """Animations, at any depth; of an early version, which did not record their inputs, by folders."""
        recorded = sum(1 for _ in self.path.rglob(INPUTS_FILE))
        return recorded or sum(path.is_dir() and path.name != "configs" for path in _children(self.path))

    def _last_metrics(self) -> tuple[int, int, float]:
        """Step, epoch (from 1) and minutes of the last whole line of metrics.csv; raises ValueError without one."""
        try:
            with (self.path / "metrics.csv").open("rb") as handle:
                handle.seek(max(handle.seek(0, os.SEEK_END) - _TAIL, 0))
                tail = handle.read().decode("utf-8", "replace")
        except OSError as error:
            raise ValueError from error
        rows = [row for row in csv.reader(tail[: tail.rfind("\n") + 1].splitlines()) if len(row) == _COLUMNS]
        if not rows:
            raise ValueError
        return int(rows[-1][0]), int(rows[-1][1]), float(rows[-1][2])


def size_on_disk(path: Path) -> int:
    """Bytes that a file or folder takes on the disk; links are not followed, what vanishes meanwhile counts nothing."""
    try:
        found = path.lstat()
        total = found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
        if path.is_dir() and not path.is_symlink():
            with os.scandir(path) as entries:
                total += sum(
                    size_on_disk(Path(entry.path)) if entry.is_dir() else _file_size(entry) for entry in entries
                )
    except OSError:
        return 0
    return total


def _file_size(entry: os.DirEntry[str]) -> int:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return 0
    return found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size


def _children(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


def _read_object(path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None
