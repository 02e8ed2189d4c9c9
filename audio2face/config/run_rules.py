"""Rules about runs and recordings that a configuration names: they exist, and fit."""

from __future__ import annotations

import json
from pathlib import Path

from audio2face.config.draft import Draft, Found
from audio2face.config.rules import concerned_actors, is_folder
from audio2face.config.teacher_run import find_teacher
from audio2face.config_base.types import RECORDING_SUFFIXES
from audio2face.errors import UserError
from audio2face.run_names import LATEST, resolve_run, run_folders

RUNS = "PREPROC_RUN_NAME_FULL"
PLACEHOLDER = "XXXXXX_XXXXXX"


def placeholders(draft: Draft) -> Found:
    """Finds placeholders of preprocessing runs that were copied from an example configuration."""
    if draft.stage != "train":
        return
    for actor, run in draft.value("train", RUNS).items():
        if run.startswith(PLACEHOLDER):
            message = "is a placeholder; give the run that preprocessing printed, or 'latest'"
            yield "train", RUNS, f"{RUNS}[{actor!r}]: {run!r} {message}"


def preproc_runs(draft: Draft) -> Found:
    """Puts full names in the place of parts of names, and finds preprocessing runs that do not exist."""
    if draft.stage != "train":
        return
    root = draft.roots.resolve(draft.value("train", "PREPROC_ROOT"), "workspace")
    for actor in concerned_actors(draft):
        given = draft.value("train", RUNS)
        run = given.get(actor, LATEST)
        if run == LATEST or run.startswith(PLACEHOLDER) or is_folder(root / run):
            continue
        own = [folder for folder in run_folders(root) if _actor_of(folder) in (None, actor)]
        try:
            found = resolve_run(run, own, "preprocessing run", root)
        except UserError as error:
            message = " ".join(f"{error.problem}, in {root}. {error.hint}".split())
            yield "train", RUNS, f"{RUNS}[{actor!r}]: {message}"
        else:
            draft.sections["train"].values[RUNS] = {**given, actor: found.name}


def _actor_of(run: Path) -> str | None:
    """The actor that a preprocessing run records."""
    try:
        return str(json.loads((run / "configs/actor_info.json").read_text(encoding="utf-8"))["actor_name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def teacher_run(draft: Draft) -> Found:
    """Puts the full name in the place of a part of it, and finds teachers that do not exist or cannot teach."""
    if draft.stage not in ("check", "train"):
        return
    text, actors = draft.value("train", "TEACHER_RUN"), draft.value("dataset", "ACTOR_NAMES")
    if text is None:
        return
    root = draft.roots.resolve(draft.value("train", "TRAIN_OUTPUT_ROOT"), "workspace")
    try:
        found = find_teacher(text, root, actors)
    except UserError as error:
        message = " ".join(f"{error.problem}, in {error.path}. {error.hint}".split())
        yield "train", "TEACHER_RUN", f"TEACHER_RUN: {message}"
    else:
        if text != LATEST:
            draft.sections["train"].values["TEACHER_RUN"] = found.name


def distillation_speech(draft: Draft) -> Found:
    """Finds a folder without any recording."""
    if draft.stage not in ("check", "train") or draft.value("train", "TEACHER_RUN") is None:
        return
    name = "DISTILLATION_SPEECH_ROOT"
    text = draft.value("train", name)
    folder = None if text is None else draft.roots.resolve(text, "datasets")
    if folder is not None and is_folder(folder):
        if not any(path.suffix.lower() in RECORDING_SUFFIXES for path in folder.rglob("*")):
            yield "train", name, f"{name}: there is no recording in {folder}; put WAV files there"
    elif folder is not None and draft.stage == "check":  # `rules.files` reports it before a training
        yield "train", name, f"{name}: there is no folder {folder}"
