"""A sweep: one configuration trained with several values of some parameters, and the table and picture of the results.

Each trial is an ordinary training run. Its RUN_NAME ends in a digest of everything that determines its weights, by
which a repeated sweep finds the runs that are finished and resumes those that are not. The values of the trials come
from a grid, or from Optuna (the extra `optuna`), which learns from earlier trials.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from rich.table import Table

from audio2face.config import Configuration
from audio2face.config_base.train_common import FREE_PARAMETERS
from audio2face.errors import UserError
from audio2face.io.arrays import read_json
from audio2face.io.atomic import atomic_write, write_text
from audio2face.runs import RunFolder, finished_runs

SUMMARY_FILE = "summary.json"
_LAST_CHECKPOINT = "checkpoints/last"
_LONGEST_NAME = 80
_MOST_TRIALS = 1000
_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "'\""
_RANGE_KINDS = ("log", "lin", "int")

Values = tuple[str, ...]  # the arguments of a trial, each NAME=VALUE
TABLE_FILE, PICTURE_FILE = "sweep.csv", "sweep.png"
_COLUMNS = 3
_LOGARITHMIC_FROM = 10.0  # ratio of largest to smallest value


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


class OptunaProposer:
    """Optuna's tree-structured Parzen estimator.

    A study in memory, whose proposals follow from the seed and the results: a repeated sweep proposes the same, and
    finds those trials finished.

    Args:
        axes: the parameters, with values or intervals.
        trials: how many trials.
        seed: of the sampler.

    Raises:
        UserError: Optuna is not installed.
    """

    def __init__(self, axes: Sequence[Axis | Range], trials: int, seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            raise UserError("--engine optuna needs a package", hint="Install it: pip install optuna.") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._failed = optuna.trial.TrialState.FAIL
        self._study: Any = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self._axes = axes
        self._left = trials
        self._open: dict[Values, list[Any]] = {}

    def propose(self, jobs: int) -> list[Values]:
        """The values of a trial for each job; two of them may be equal."""
        found = []
        for _ in range(min(jobs, self._left)):
            trial = self._study.ask()
            values = tuple(f"{axis.name}={_suggested(trial, axis)}" for axis in self._axes)
            self._open.setdefault(values, []).append(trial)
            found.append(values)
        self._left -= len(found)
        return found

    def report(self, values: Values, score: float) -> None:
        """Tells the study a result."""
        trial = self._open[values].pop(0)
        if math.isfinite(score):
            self._study.tell(trial, score)
        else:
            self._study.tell(trial, state=self._failed)


def _suggested(trial: Any, axis: Axis | Range) -> str:
    """A value as it is typed; floats with four digits, which tell apart what training can."""
    if isinstance(axis, Axis):
        return str(trial.suggest_categorical(axis.name, list(axis.values)))
    if axis.kind == "int":
        return str(trial.suggest_int(axis.name, int(axis.low), int(axis.high)))
    return f"{trial.suggest_float(axis.name, axis.low, axis.high, log=axis.kind == 'log'):.4g}"


def ranked(results: Sequence[TrialResult]) -> list[TrialResult]:
    """The results from the best to the worst; failed ones last."""
    return sorted(results, key=lambda result: (result.score, result.number))


def write_table(results: Sequence[TrialResult], path: Path) -> None:
    """Writes a row for each trial, the best first: number, status, run, parameters, metrics, minutes."""
    metrics = list(dict.fromkeys(name for result in results for name in result.metrics))
    names = _parameters(results)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "status", "run", *names, *metrics, "minutes"])
    for result in ranked(results):
        values = dict(value.split("=", 1) for value in result.values)
        status = "done" if result.status == 0 else f"failed ({result.status})"
        figures = [f"{result.metrics[name]:.8g}" if name in result.metrics else "" for name in metrics]
        parameters = [values.get(name, "") for name in names]
        writer.writerow([result.number, status, result.run or "", *parameters, *figures, result.minutes])
    write_text(path, text.getvalue())


def terminal_table(results: Sequence[TrialResult]) -> Table:
    """The same for a terminal: with the metric that chooses alone."""
    metric = next((result.best_metric for result in results if result.best_metric), "metric")
    names = _parameters(results)
    table = Table("trial", *names, metric, "minutes", "run")
    for result in ranked(results):
        values = dict(value.split("=", 1) for value in result.values)
        score = f"{result.score:.4g}" if math.isfinite(result.score) else "none" if result.run else "failed"
        parameters = [values.get(name, "") for name in names]
        table.add_row(str(result.number), *parameters, score, f"{result.minutes:.1f}", result.run or "")
    return table


def draw_results(results: Sequence[TrialResult], path: Path) -> bool:
    """Draws the metric that chooses over each parameter; False where no trial has one."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    scored = [result for result in results if math.isfinite(result.score)]
    names = _parameters(results)
    if not scored or not names:
        return False
    rows = math.ceil(len(names) / _COLUMNS)
    figure = Figure(figsize=(5 * min(_COLUMNS, len(names)), 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, min(_COLUMNS, len(names)), squeeze=False).flatten()
    best = ranked(scored)[0]
    for panel in panels[len(names) :]:
        panel.remove()
    for panel, name in zip(panels, names, strict=False):
        texts = [dict(value.split("=", 1) for value in result.values)[name] for result in scored]
        numbers = _numbers(texts)
        places = numbers or texts
        if numbers and min(numbers) > 0 and max(numbers) / min(numbers) >= _LOGARITHMIC_FROM:
            panel.set_xscale("log")
        panel.scatter(places, [result.score for result in scored], s=16)
        panel.scatter([places[scored.index(best)]], [best.score], s=60, facecolors="none", edgecolors="red")
        panel.set_xlabel(name, fontsize=9)
        panel.set_ylabel(best.best_metric, fontsize=9)
        panel.tick_params(labelsize=8)
    with atomic_write(path) as handle:
        figure.savefig(handle, format="png", dpi=110)
    return True


def _parameters(results: Sequence[TrialResult]) -> list[str]:
    return list(dict.fromkeys(value.split("=", 1)[0] for result in results for value in result.values))


def _numbers(texts: Sequence[str]) -> list[float]:
    """The texts as finite numbers; empty where one of them is none."""
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
