"""The values of a sweep's trials chosen by Optuna (the extra `optuna`): each from what came of those before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from audio2face.errors import UserError
from audio2face.training.sweep import Axis, Range, Values


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
