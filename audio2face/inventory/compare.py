"""What runs of one stage have in common and what not: parameters that differ, and figures side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audio2face.inventory.entry import Run


@dataclass(frozen=True)
class RunComparison:
    """The differences between runs.

    Attributes:
        runs: the runs.
        parameters: by `section.PARAMETER`, nested with dots, the value of each run; only those that differ. A run
            without the parameter has no entry.
        figures: by name, the value of each run that has it.
    """

    runs: tuple[Run, ...]
    parameters: Mapping[str, Mapping[str, Any]]
    figures: Mapping[str, Mapping[str, Any]]


def compare(runs: Sequence[Run]) -> RunComparison:
    """Compares runs by their records.

    Args:
        runs: of one stage, each once.
    """
    settings = {run.name: dict(_flat(run.settings)) for run in runs}
    names = dict.fromkeys(name for values in settings.values() for name in values)
    parameters = {}
    for name in names:
        row = {run: values[name] for run, values in settings.items() if name in values}
        if len(row) < len(runs) or len({json.dumps(value, sort_keys=True) for value in row.values()}) > 1:
            parameters[name] = row
    facts = {run.name: dict(_facts(run)) for run in runs}
    shown = dict.fromkeys(name for values in facts.values() for name in values)
    figures = {name: {run: values[name] for run, values in facts.items() if name in values} for name in shown}
    return RunComparison(tuple(runs), parameters, figures)


def _flat(values: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested tables, by names with dots; an empty table is a leaf."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{start}{name}.")
        else:
            yield f"{start}{name}", value


def _facts(run: Run) -> Iterator[tuple[str, Any]]:
    """Status, progress and figures that are known."""
    yield "status", run.status
    progress = run.progress
    facts = {
        "epochs": progress.epoch,
        "steps": progress.step,
        "minutes": progress.minutes,
        "animations": progress.animations,
    }
    yield from ((name, value) for name, value in facts.items() if value is not None)
    if run.preproc_folders:
        yield "preprocessing", ", ".join(folder.name for folder in run.preproc_folders)
    yield from run.figures.items()
