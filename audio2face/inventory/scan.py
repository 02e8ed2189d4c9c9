"""Finds all runs, in the workspace and wherever their own configurations say that runs lie, links and compares them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from audio2face.config import Roots
from audio2face.errors import UserError
from audio2face.inventory.entry import MODEL_FILE, STAGES, Run, StageName
from audio2face.run_names import LATEST, resolve_run, run_folders

# Where runs of a stage lie: the folder of the workspace, and the parameters (section, name) that may say otherwise.
_PLACES: dict[StageName, tuple[str, tuple[tuple[str, str], ...]]] = {
    "preproc": ("output_preproc", (("preproc", "PREPROC_OUTPUT_ROOT"), ("train", "PREPROC_ROOT"))),
    "train": ("output_train", (("train", "TRAIN_OUTPUT_ROOT"),)),
    "deploy": ("output_deploy", (("train", "FINAL_DEPLOY_ROOT"),)),
    "inference": ("output_inference", (("inference", "INFERENCE_OUTPUT_ROOT"),)),
}
_IS_RUN: dict[StageName, Callable[[Path], bool]] = {
    "preproc": lambda path: not (path / "network.json").exists() and _is_recorded(path),
    "train": lambda path: not (path / "configs/actor_info.json").exists() and _is_recorded(path),
    "deploy": lambda path: (path / MODEL_FILE).is_file(),
    "inference": lambda path: not (path / MODEL_FILE).exists() and not (path / "status.json").exists(),
}
WORDS: dict[StageName, str] = {
    "preproc": "preprocessing run",
    "train": "training run",
    "deploy": "deployed model",
    "inference": "folder of animations",
}


@dataclass(frozen=True)
class Inventory:
    """All runs.

    Attributes:
        roots: where datasets and workspace lie.
        runs: stage by stage, newest first.
    """

    roots: Roots
    runs: tuple[Run, ...]

    @cached_property
    def _by_path(self) -> dict[Path, Run]:
        return {run.path: run for run in self.runs}

    @cached_property
    def _sources(self) -> dict[Path, list[Run]]:
        return {run.path: self._find_sources(run) for run in self.runs}

    def of_stage(self, stage: StageName) -> list[Run]:
        """The runs of a stage, newest first."""
        return [run for run in self.runs if run.stage == stage]

    def made_from(self, run: Run) -> list[Run]:
        """The runs that a run was made from, as far as they are still there."""
        return self._sources[run.path]

    def used_by(self, run: Run) -> list[Run]:
        """The runs that were made from a run."""
        return [other for other in self.runs if run in self.made_from(other)]

    def needed_by(self, run: Run) -> list[Run]:
        """The runs that cannot be resumed or deployed (again) without a run.

        A training reads its preprocessing runs when it is resumed and when it is deployed, the weights that it starts
        from until it has a checkpoint, and its teacher until it is done. A deployed model and animations stand by
        themselves.
        """
        if run.stage == "preproc":
            return self.used_by(run)
        if run.stage == "train":
            started = [other for other in self.used_by(run) if other.stage == "train"]
            unfinished = [other for other in started if other.status != "done"]
            return [other for other in unfinished if not other.checkpoints or other.teacher == run.path]
        return []

    def find(self, text: str, stages: Sequence[StageName] = ()) -> list[Run]:
        """The runs of a name, of several stages where they share it.

        Args:
            text: a full name, an end or a part of it, or, of one stage, `latest`.
            stages: the stages to search; all where empty.

        Raises:
            UserError: there is no such run, or the text may stand for several names.
        """
        wanted = [run for run in self.runs if not stages or run.stage in stages]
        if text == LATEST and len(stages) != 1:
            raise UserError("'latest' may be a run of any stage", hint="Say of which: --stage train.")
        what = WORDS[stages[0]] if len(stages) == 1 else "run"
        found = resolve_run(text, [run.path for run in wanted], what, self.roots.workspace)
        return [run for run in wanted if run.name == found.name]

    def _find_sources(self, run: Run) -> list[Run]:
        if run.stage == "train":
            others = run.pretrained.parents if run.pretrained else ()
            paths = [*run.preproc_folders, *others, *([run.teacher] if run.teacher else [])]
            return [self._by_path[path] for path in paths if path in self._by_path and path != run.path]
        before: dict[StageName, tuple[StageName, ...]] = {"deploy": ("train",), "inference": ("deploy", "train")}
        for stage in before.get(run.stage, ()):
            if found := [other for other in self.runs if other.stage == stage and other.name == run.name]:
                return found
        return []


def scan(roots: Roots) -> Inventory:
    """Finds the runs of all stages.

    Args:
        roots: where datasets and workspace lie. Runs outside the workspace are found where a run inside it records
            their folder.
    """
    found: dict[Path, Run] = {}
    pending = [(stage, roots.workspace / folder) for stage, (folder, _) in _PLACES.items()]
    seen = set(pending)
    while pending:
        stage, root = pending.pop(0)
        for folder in run_folders(root):
            if folder in found or not _IS_RUN[stage](folder):
                continue
            run = found[folder] = Run(stage, folder, roots)
            places = [place for place in _recorded_places(run) if place not in seen]
            seen.update(places)
            pending += places
    ordered = sorted(found.values(), key=lambda run: STAGES.index(run.stage))
    return Inventory(roots, tuple(ordered))


def _recorded_places(run: Run) -> set[tuple[StageName, Path]]:
    """Where the configuration of a run says that runs lie."""
    texts = [
        (stage, run.settings.get(section, {}).get(parameter))
        for stage, (_, parameters) in _PLACES.items()
        for section, parameter in parameters
    ]
    return {(stage, path) for stage, text in texts if isinstance(text, str) and (path := run.resolve(text))}


def _is_recorded(path: Path) -> bool:
    return (path / "configs").is_dir() or (path / "status.json").is_file()


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
