"""A sweep: one configuration trained with several values of some parameters.

Each trial is an ordinary training run. Its RUN_NAME ends in a digest of everything that determines its weights, by
which a repeated sweep finds the runs that are finished and resumes those that are not.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from audio2face.config import Configuration
from audio2face.errors import UserError
from audio2face.io.arrays import read_json
from audio2face.runs import RunFolder, finished_runs
from audio2face.training.free_parameters import FREE_PARAMETERS

SUMMARY_FILE = "summary.json"
_LAST_CHECKPOINT = "checkpoints/last"
_LONGEST_NAME = 80
_MOST_TRIALS = 1000
_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "'\""
_RANGE_KINDS = ("log", "lin", "int")

Values = tuple[str, ...]  # the arguments of a trial, each NAME=VALUE


@dataclass(frozen=True)
class Axis:
    """A parameter with the values to try, as they are typed."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Range:
    """A parameter with an interval to search in: linear ("lin"), logarithmic ("log"), or of whole numbers ("int")."""

    name: str
    kind: Literal["log", "lin", "int"]
    low: float
    high: float


@dataclass(frozen=True)
class TrialResult:
    """What came of a trial.

    Attributes:
        number: of the trial, from 1.
        values: its arguments.
        run: its training run; None where it failed before it had one.
        metrics: validation metrics of the exported weights.
        best_metric: the metric that chooses; smaller is better.
        minutes: of training.
        status: the exit status of training.
    """

    number: int
    values: Values
    run: str | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    best_metric: str = ""
    minutes: float = 0.0
    status: int = 0

    @property
    def score(self) -> float:
        """The metric that chooses; infinite where there is none."""
        value = self.metrics.get(self.best_metric, math.inf)
        return value if math.isfinite(value) else math.inf


class Proposer(Protocol):
    """Chooses the values of the trials."""

    def propose(self, jobs: int) -> list[Values]:
        """The values of the next trials; none where all were proposed.

        Args:
            jobs: how many run at a time, for those that learn from the trials before.
        """

    def report(self, values: Values, score: float) -> None:
        """Tells what came of a trial; infinite where it failed."""


class GridProposer:
    """All combinations of the values, or a random part of them.

    Args:
        axes: the parameters.
        trials: how many combinations; None: all.
        seed: chooses the part.

    Raises:
        UserError: there are too many.
    """

    def __init__(self, axes: Sequence[Axis], trials: int | None, seed: int) -> None:
        self._axes = axes
        size = math.prod(len(axis.values) for axis in axes)
        if trials is None and size > _MOST_TRIALS:
            raise UserError(f"the grid has {size} trials", hint="Take a random part of it: --trials 50.")
        count = size if trials is None else min(trials, size)
        self._left = sorted(random.Random(seed).sample(range(size), count)) if count < size else list(range(size))

    def propose(self, jobs: int) -> list[Values]:
        """All combinations; the last parameter changes fastest."""
        taken, self._left = self._left, []
        return [self._combination(index) for index in taken]

    def report(self, values: Values, score: float) -> None:
        """Has no effect: a grid is fixed."""

    def _combination(self, index: int) -> Values:
        chosen: list[str] = []
        for axis in reversed(self._axes):
            index, place = divmod(index, len(axis.values))
            chosen.append(f"{axis.name}={axis.values[place]}")
        return tuple(reversed(chosen))


def parse_axis(argument: str) -> Axis | Range:
    """Reads `NAME=VALUE,VALUE,...`, or `NAME=log:LOW:HIGH` (also lin, int).

    Commas inside brackets and quotes belong to a value.

    Raises:
        UserError: a value is empty, a bracket or quote is open, or the ends of an interval are no numbers that rise.
    """
    name, _, text = argument.partition("=")
    kind, *ends = text.strip().split(":")
    if kind in _RANGE_KINDS and len(ends) == 2:
        return _range(argument, name.strip(), kind, ends)
    values = tuple(dict.fromkeys(value.strip() for value in _split(argument, text)))
    if not all(values):
        raise UserError(f"--set {argument}: a value is empty", hint="Type NAME=VALUE,VALUE, such as BATCH_SIZE=2,4.")
    return Axis(name.strip(), values)


def _range(argument: str, name: str, kind: str, ends: Sequence[str]) -> Range:
    try:
        low, high = map(float, ends)
    except ValueError:
        low = high = math.nan
    is_whole = kind != "int" or (low.is_integer() and high.is_integer())
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (kind != "log" or low > 0) and is_whole):
        raise UserError(
            f"--set {argument}: is no interval",
            hint="Type log:1e-5:1e-3 (both above 0), lin:0:1 or int:1:8, the smaller end first.",
        )
    return Range(name, kind, low, high)  # type: ignore[arg-type]  # one of _RANGE_KINDS


def _split(argument: str, text: str) -> list[str]:
    """Splits a text at its commas, except those inside brackets and quotes."""
    values, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES:
            quote = letter
        else:
            depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == "," and not quote and depth == 0:
            values.append("")
        else:
            values[-1] += letter
    if quote or depth:
        raise UserError(
            f"--set {argument}: a bracket or quote is not closed",
            hint="Quote the whole argument in the shell.",
        )
    return values


def trial_name(configuration: Configuration, preproc_runs: Mapping[str, str]) -> str:
    """RUN_NAME of a trial: that of the configuration, and a digest of everything that determines the weights.

    Args:
        configuration: for stage "train", with the values of the trial.
        preproc_runs: name of the preprocessing run of each actor.
    """
    sections: dict[str, Any] = {
        section: {name: value for name, value in values.items() if name not in FREE_PARAMETERS}
        for section, values in configuration.full.items()
    }
    text = json.dumps([sections, dict(preproc_runs)], sort_keys=True, default=dict)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{configuration.train.RUN_NAME[:_LONGEST_NAME].rstrip('.-')}-{digest}"


def find_trial(root: Path, name: str) -> tuple[RunFolder | None, RunFolder | None]:
    """The newest finished run of a trial, and the newest unfinished one that can be resumed."""
    finished = next((run for run in finished_runs(root) if run.run_name == name), None)
    folders = sorted(root.glob(f"*_{name}"), reverse=True) if root.is_dir() else []
    stopped = next((RunFolder(path) for path in folders if (path / _LAST_CHECKPOINT).exists()), None)
    return finished, None if finished is not None else stopped


def read_result(number: int, values: Values, run: RunFolder) -> TrialResult:
    """The result of a finished trial.

    Raises:
        UserError: its summary cannot be read.
    """
    summary = read_json(run.path / SUMMARY_FILE)
    metrics = {str(name): float(value) for name, value in (summary.get("exported_metrics") or {}).items()}
    best = summary.get("best_metric") or next(iter(metrics), "")
    return TrialResult(number, values, run.name, metrics, best, float(summary.get("minutes", 0.0)))
