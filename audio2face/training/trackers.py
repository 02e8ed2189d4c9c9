"""Experiment trackers: where the metrics and pictures of a training go while it runs.

`csv` is the run's own `metrics.csv`. The others are adapters of libraries, which are imported when they are used. All
work without a network: wandb in its offline mode, MLflow with a database in the workspace, trackio with its local one.
A run keeps the identity it has in each tracker in `trackers.json`, so that a resumed training continues it.
"""

from __future__ import annotations

import csv
import io
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import numpy as np

from audio2face.config_base.types import TRACKER_PACKAGES, TrackerName
from audio2face.console import LOGGER
from audio2face.errors import FileFormatError, UserError, reason_of
from audio2face.io.arrays import read_json
from audio2face.io.atomic import write_json, write_text
from audio2face.training.checkpoint import Progress

METRICS_FILE = "metrics.csv"
TRACKERS_FILE = "trackers.json"  # the run's identity in each tracker that gives it one
PROJECT = "audio2face"  # project or experiment, where the tracker's own variables name no other
_HEADER = ("step", "epoch", "minutes", "metric", "value")
_SECONDS_OF_PAUSE = 300.0  # after a failure, before a tracker is tried again
_LONGEST_PARAMETER = 500  # characters that every release of MLflow stores

Outcome = Literal["done", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """The training that is tracked.

    Attributes:
        folder: the run folder; its name is the name of the run.
        step: the step that training resumes from; 0 for a new run.
        parameters: the training section, as JSON.
        workspace: the workspace, where local databases lie.
    """

    folder: Path
    step: int = 0
    parameters: Mapping[str, Any]
    workspace: Path

    @property
    def name(self) -> str:
        """The full name of the run."""
        return self.folder.name


class Tracker(Protocol):
    """Keeps the metrics and pictures of a training.

    Attributes:
        run_id: the run's identity in this tracker; None where its folder is all there is.
    """

    run_id: str | None

    def log(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Keeps metrics of a training progress."""

    def picture(self, name: str, path: Path, step: int) -> None:
        """Keeps a PNG file, replacing or following the one of an earlier step."""

    def close(self, outcome: Outcome) -> None:
        """Ends the run."""


class CsvTracker:
    """Appends to `metrics.csv` of the run folder, in which a killed training keeps its metrics."""

    run_id: str | None = None

    def __init__(self, run: TrackedRun) -> None:
        self._path = run.folder / METRICS_FILE
        kept = [row for row in read_metric_rows(self._path) if int(row[0]) <= run.step] if run.step else []
        write_text(self._path, "".join(_line(row) for row in [_HEADER, *kept]))

    def log(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Appends a row for each metric; raises UserError where the file cannot be written."""
        prefix = (progress.step, progress.epoch + 1, f"{progress.seconds / 60:.3f}")
        try:
            with self._path.open("a", encoding="utf-8", newline="") as handle:
                handle.writelines(_line((*prefix, name, f"{value:.8g}")) for name, value in values.items())
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror or error}", path=self._path) from error

    def picture(self, name: str, path: Path, step: int) -> None:
        """Does nothing: pictures lie beside the file."""

    def close(self, outcome: Outcome) -> None:
        """Does nothing: the file is closed after every line."""


class TensorBoardTracker:
    """Writes TensorBoard's events into the run folder."""

    run_id: str | None = None

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._board = SummaryWriter(str(run.folder), purge_step=run.step + 1 if run.step else None)

    def log(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Adds a scalar for each metric."""
        for name, value in values.items():
            self._board.add_scalar(name, value, progress.step)

    def picture(self, name: str, path: Path, step: int) -> None:
        """Adds an image."""
        from matplotlib.image import imread

        self._board.add_image(name, imread(path)[..., :3], step, dataformats="HWC")

    def close(self, outcome: Outcome) -> None:
        """Closes the events."""
        self._board.close()


class WandbTracker:
    """Weights & Biases: online where the user is logged in or WANDB_MODE says so, else offline in the run folder."""

    def __init__(self, run: TrackedRun, run_id: str | None) -> None:
        import wandb

        self._wandb = wandb
        mode = os.environ.get("WANDB_MODE") or ("online" if _has_wandb_login() else "offline")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run_id,
            name=run.name,
            dir=str(run.folder),
            mode=mode,
            resume="allow",
            config=dict(run.parameters),
            settings=wandb.Settings(console="off", silent=True),  # we have our own log
        )
        self.run_id: str | None = self._run.id
        # Our steps may go back after a resume, which wandb's own may not.
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")
        if mode == "offline":
            LOGGER.info("wandb is offline; to upload the run: wandb sync %s", run.folder / "wandb" / "offline-run-*")

    def log(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Logs the metrics with their step, epoch and minutes."""
        place = {"step": progress.step, "epoch": progress.epoch + 1, "minutes": progress.seconds / 60}
        self._run.log({**values, **place})

    def picture(self, name: str, path: Path, step: int) -> None:
        """Logs an image."""
        self._run.log({name: self._wandb.Image(str(path)), "step": step})

    def close(self, outcome: Outcome) -> None:
        """Ends the run; one that stopped counts as failed there until it is resumed."""
        self._run.finish(exit_code=0 if outcome == "done" else 1)


def _has_wandb_login() -> bool:
    """Whether `wandb login` stored a key for the server, or the environment has one; asks neither user nor network."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc(os.environ.get("NETRC")).authenticators(server) is not None
    except (OSError, NetrcParseError):
        return False


class MlflowTracker:
    """MLflow: the server of MLFLOW_TRACKING_URI, otherwise a database in the workspace."""

    def __init__(self, run: TrackedRun, run_id: str | None) -> None:
        from mlflow import entities
        from mlflow.tracking import MlflowClient

        self._entities = entities
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # training does not wait for a server
        local = f"sqlite:///{run.workspace.absolute() / 'mlflow.db'}"
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        self._client = MlflowClient(tracking_uri=uri or local)
        if run_id is None:
            run_id = self._create(run, None if uri else (run.workspace.absolute() / "mlflow").as_uri())
        else:
            self._client.update_run(run_id, status="RUNNING")
        self.run_id: str | None = run_id
        self._id = run_id

    def _create(self, run: TrackedRun, artifacts: str | None) -> str:
        """Makes a run with its parameters, in an experiment that is made where it is missing."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name, artifacts) if found is None else found.experiment_id
        made: str = self._client.create_run(experiment, run_name=run.name).info.run_id
        shown = {name: str(value)[:_LONGEST_PARAMETER] for name, value in run.parameters.items()}
        params = [self._entities.Param(name, value) for name, value in shown.items()]
        for first in range(0, len(params), 100):  # as many as one call may have
            self._client.log_batch(made, params=params[first : first + 100])
        return made

    def log(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Logs all metrics in one call."""
        now = time.time_ns() // 1_000_000
        metrics = [self._entities.Metric(name, value, now, progress.step) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def picture(self, name: str, path: Path, step: int) -> None:
        """Replaces the artifact of this name."""
        self._client.log_artifact(self._id, str(path))

    def close(self, outcome: Outcome) -> None:
        """Ends the run with the status that MLflow has for the outcome."""
        self._client.set_terminated(self._id, {"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[outcome])


class TrackioTracker:
    """trackio: a local database, which `trackio show` displays; the run is found by its name."""

    run_id: str | None = None

    def __init__(self, run: TrackedRun) -> None:
        import trackio

        self._trackio = trackio
        project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        self._run = trackio.init(project=project, name=run.name, resume="allow", config=dict(run.parameters))

    def log(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Logs all metrics of a step."""
        self._run.log({**values, "epoch": progress.epoch + 1}, step=progress.step)

    def picture(self, name: str, path: Path, step: int) -> None:
        """Logs an image."""
        self._run.log({name: self._trackio.Image(str(path))}, step=step)

    def close(self, outcome: Outcome) -> None:
        """Ends the run."""
        self._run.finish()


def _openers(run: TrackedRun, ids: Mapping[str, str]) -> dict[TrackerName, Callable[[], Tracker]]:
    return {
        "csv": lambda: CsvTracker(run),
        "tensorboard": lambda: TensorBoardTracker(run),
        "wandb": lambda: WandbTracker(run, ids.get("wandb")),
        "mlflow": lambda: MlflowTracker(run, ids.get("mlflow")),
        "trackio": lambda: TrackioTracker(run),
    }


def open_trackers(names: Sequence[TrackerName], run: TrackedRun) -> list[Tracker]:
    """Opens the trackers of a run, and records its identities in them.

    One that cannot be opened, for want of a connection or a login, is skipped with a warning.

    Raises:
        UserError: a package is missing, or a file of the run cannot be written.
    """
    for name in names:
        _check_package(name)
    ids = _read_ids(run.folder / TRACKERS_FILE)
    opened: list[Tracker] = []
    openers = _openers(run, ids)
    for name in dict.fromkeys(names):
        if name == "csv":
            opened.append(openers[name]())
            continue
        guarded = GuardedTracker.open(name, openers[name])
        if guarded is not None:
            opened.append(guarded)
            if guarded.run_id is not None:
                ids[name] = guarded.run_id
    if ids:
        write_json(run.folder / TRACKERS_FILE, ids)
    return opened


def _check_package(name: TrackerName) -> None:
    module, packages = TRACKER_PACKAGES.get(name, ("", ""))
    if module and find_spec(module) is None:
        raise UserError(
            f"TRACKERS has {name!r}, which needs the package {module}",
            hint=f"Install it: pip install {packages}. Or leave it out of TRACKERS.",
        )


def _read_ids(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    value = read_json(path)
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise FileFormatError("should hold the identity of the run in each tracker", path=path)
    return value


class GuardedTracker:
    """A tracker whose failures do not end training: it warns once, and is tried again after some minutes.

    Args:
        name: for the warning.
        tracker: the tracker.
    """

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name = name
        self._tracker = tracker
        self._has_warned = False
        self._resumes_at = 0.0
        self.run_id = tracker.run_id

    @classmethod
    def open(cls, name: str, opener: Callable[[], Tracker]) -> GuardedTracker | None:
        """Opens a tracker; None, with a warning, where it fails."""
        try:
            with _preserved_random_state():
                return cls(name, opener())
        except Exception as error:  # of any library
            LOGGER.warning("the tracker %s is not used: %s", name, reason_of(error))
            return None

    def log(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Keeps metrics, if it can."""
        self._attempt(lambda: self._tracker.log(progress, values))

    def picture(self, name: str, path: Path, step: int) -> None:
        """Keeps a picture, if it can."""
        self._attempt(lambda: self._tracker.picture(name, path, step))

    def close(self, outcome: Outcome) -> None:
        """Ends the run, if it can."""
        self._resumes_at = 0.0
        self._attempt(lambda: self._tracker.close(outcome))

    def _attempt(self, action: Callable[[], None]) -> None:
        """Calls the tracker, unless it failed lately."""
        if time.monotonic() < self._resumes_at:
            return
        try:
            with _preserved_random_state():
                action()
        except Exception as error:  # of any library
            self._resumes_at = time.monotonic() + _SECONDS_OF_PAUSE
            if not self._has_warned:
                self._has_warned = True
                LOGGER.warning("the tracker %s misses some of this run: %s", self._name, reason_of(error))


@contextmanager
def _preserved_random_state() -> Iterator[None]:
    """Gives the global random numbers of Python and NumPy back as they were: libraries draw names from them."""
    state, array_state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(array_state)


def read_metric_rows(path: Path) -> list[list[str]]:
    """The rows of a `metrics.csv` below its header (step, epoch, minutes, metric, value), without one cut off."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    whole = text[: text.rfind("\n") + 1]
    rows = list(csv.reader(io.StringIO(whole)))[1:]
    return [row for row in rows if len(row) == len(_HEADER)]


def _line(row: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(row)
    return buffer.getvalue()
