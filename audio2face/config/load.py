"""Loads a configuration: runs the user's files, merges them and arguments over the base modules, and checks it all.

A training run may stand for its configuration: `configuration_of_run` finds the name that the run records.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from audio2face.config import rules, run_rules
from audio2face.config.configuration import ConfigError, Configuration
from audio2face.config.draft import Draft, add_section, complete
from audio2face.config.overlay import Place, read_section
from audio2face.config.overrides import Override, OverrideError, merge_overrides, parse_override
from audio2face.config.values import Roots, freeze, nearest, shorten, unknown_names
from audio2face.config_base.tables import BY_NETWORK_TYPE, SECTIONS, NetworkType, SectionName, base_of
from audio2face.config_base.types import Stage
from audio2face.errors import UserError, check_identifier
from audio2face.families import FAMILIES
from audio2face.home import config_folders, config_names
from audio2face.run_names import recorded_configuration, resolve_training_run

# The sections that a stage reads: those whose file is required, and those with usable defaults.
REQUIRED: dict[Stage, tuple[SectionName, ...]] = {
    "check": ("dataset",),
    "preproc": ("dataset", "preproc"),
    "train": ("dataset", "train"),
    "deploy": ("train",),
    "inference": ("dataset", "train"),
}
OPTIONAL: dict[Stage, tuple[SectionName, ...]] = {
    "check": ("preproc",),
    "preproc": (),
    "train": ("inference",),
    "deploy": ("inference",),
    "inference": ("inference",),
}
_NO_OWN_CONFIGURATIONS = (
    "None is your own: `audio2face init NAME` writes one. Where yours are elsewhere, type the command in the folder "
    "that holds `configs`, or name that folder in A2F_HOME."
)
# The section that an argument means first where several have the parameter.
_OWN: dict[Stage, SectionName] = {
    "check": "dataset",
    "preproc": "preproc",
    "train": "train",
    "deploy": "inference",
    "inference": "inference",
}
_TRAINED = "output_train"  # where TRAIN_OUTPUT_ROOT is by default


def load(
    config_name: str,
    *,
    stage: Stage,
    actors: Sequence[str] | None = None,
    roots: Roots | None = None,
    configs_folder: Path | None = None,
    check_files: bool = True,
    overrides: Sequence[str] = (),
) -> Configuration:
    """Loads the configuration of one stage.

    All files of the configuration are run and checked, including those of later stages, so that user errors show before
    hours of work. Files on disk are checked at the stage that reads them; the dataset check reports missing files
    itself.

    Args:
        config_name: name of a folder in `configs/` of the home folder, or of a configuration that is shipped.
        stage: the stage that the configuration is for.
        actors: the actors to work on; all of ACTOR_NAMES by default.
        roots: folders of datasets and workspace; by default from the environment.
        configs_folder: the only folder of configurations; by default those of `home.config_folders`.
        check_files: whether files and runs that the stage reads must exist.
        overrides: values that replace those of the files, each as `NAME=VALUE` or `NAME.KEY=VALUE`.

    Raises:
        ConfigError: the configuration has problems; the error lists all problems of all files.
        UserError: there is no such configuration.
    """
    roots = roots or Roots.from_environment()
    folders = [configs_folder] if configs_folder else config_folders(roots.framework)
    folder = _find_folder(config_name, folders)
    asked = tuple(check_identifier(actor, "actor name") for actor in actors or ())
    paths = {name: folder / f"config_{name}.py" for name in SECTIONS}
    with ThreadPoolExecutor() as pool:  # each file runs in its own process, so they can run in parallel
        users = dict(zip(paths, pool.map(partial(read_section, folders=folders), paths.values()), strict=True))
    draft = Draft(stage, roots, users, asked)
    _apply_overrides(draft, overrides)
    _add_sections(draft, folder)
    _check(draft, check_files)
    if draft.problems:
        raise ConfigError(config_name, stage, folder, draft.problems)
    return Configuration(
        name=config_name,
        stage=stage,
        actors=rules.concerned_actors(draft),
        network_type=draft.network_type,
        roots=roots,
        modifiers=freeze({name: section.written for name, section in draft.sections.items()}),
        full=freeze({name: section.values for name, section in draft.sections.items()}),
        warnings=tuple(draft.warnings),
        overrides=tuple(overrides),
    )


def stages_of_override(argument: str) -> tuple[Stage, ...]:
    """The stages that read the parameter of an argument `NAME=VALUE`.

    Raises:
        UserError: no stage does, or the argument has another form.
    """
    stages: list[Stage] = []
    for stage in REQUIRED:
        with suppress(OverrideError):
            parse_override(argument, stage, _sections_read(stage))
            stages.append(stage)
    try:
        parse_override(argument, "train", SECTIONS)
    except OverrideError as error:
        raise UserError(f"{error.source}: {error}") from error
    return tuple(stages)


def _sections_read(stage: Stage) -> tuple[SectionName, ...]:
    """The sections that a stage reads, its own first."""
    return tuple(dict.fromkeys((_OWN[stage], *REQUIRED[stage], *OPTIONAL[stage])))


def _find_folder(config_name: str, folders: list[Path]) -> Path:
    check_identifier(config_name, "configuration name")
    for folder in folders:
        if (folder / config_name).is_dir():
            return folder / config_name
    names = config_names(folders)
    close = nearest(config_name, names)
    hints = [f"There are: {', '.join(names)}."] if names else []
    if not config_names(folders[:1]):
        hints.append(_NO_OWN_CONFIGURATIONS)
    meant = f"; did you mean {close!r}?" if close else ""
    raise UserError(f"there is no configuration {config_name!r}{meant}", path=folders[0], hint="\n  ".join(hints))


def _apply_overrides(draft: Draft, arguments: Sequence[str]) -> None:
    """Merges arguments over the values of the files; reports invalid ones."""
    own = _OWN[draft.stage]
    overrides: list[Override] = []
    for argument in arguments:
        try:
            overrides.append(parse_override(argument, draft.stage, _sections_read(draft.stage)))
        except OverrideError as error:
            draft.report(own, "", str(error), Place(error.source, rank=sys.maxsize))
    for name, user in draft.users.items():
        draft.users[name] = user.with_arguments(*merge_overrides(overrides, name))


def _add_sections(draft: Draft, folder: Path) -> None:
    """Merges and checks the files; a missing optional file counts as empty."""
    files = {user.path: name for name, user in draft.users.items()}
    for path in sorted(set(folder.glob("config_*.py")).difference(files)):
        meant = rules.instead(path.name, [file.name for file in files])
        draft.warnings.append(f"{path.name}: not read{meant}")
    present = [name for path, name in files.items() if path.is_file()]
    for name in REQUIRED[draft.stage]:
        if name not in present:
            draft.report(name, "", f"the file is missing, stage {draft.stage} needs it")
    _find_network_type(draft, [name for name in present if name in BY_NETWORK_TYPE])
    for name in SECTIONS:
        if name in present or name in OPTIONAL[draft.stage]:
            add_section(draft, name, complete)


def _find_network_type(draft: Draft, dependent: list[SectionName]) -> None:
    """Takes the network type from config_train.py, which must set it, since the parameters depend on it.

    If it is missing, the type is guessed, so that the rest can still be checked.
    """
    train = draft.users["train"]
    given = train.values.get("NETWORK_TYPE")
    draft.network_type = next((kind for kind in FAMILIES if kind == given), None)
    if draft.network_type or not dependent:
        return

    def strangers(kind: NetworkType) -> int:
        tables = ((base_of(name, kind).defaults, draft.users[name].values) for name in dependent)
        return sum(len(list(unknown_names(defaults, values))) for defaults, values in tables)

    draft.network_type = nearest(str(given), FAMILIES) or min(FAMILIES, key=strangers)
    if "train" in dependent and not train.failed:
        train.values["NETWORK_TYPE"] = draft.network_type
        found = "it is missing" if given is None else f"found {shorten(given)}"
        message = f"NETWORK_TYPE: must be given as {' or '.join(map(repr, FAMILIES))}, {found}"
        draft.report("train", "NETWORK_TYPE", message)


def _check(draft: Draft, check_files: bool) -> None:
    rules.asked_actors(draft)
    rules.members(draft)
    draft.apply(rules.required_entries)
    draft.apply(run_rules.placeholders)
    for rule in rules.RULES:
        draft.apply(rule)
    rules.note_what_may_be_meant(draft)
    if check_files:
        rules.files(draft)
        draft.apply(run_rules.preproc_runs)
        draft.apply(run_rules.teacher_run)
        draft.apply(run_rules.distillation_speech)
        draft.apply(rules.clip_audio)


def configuration_of_run(text: str, roots: Roots | None = None) -> str:
    """Finds the name of the configuration of a training run.

    Args:
        text: a full name, an end or a part of it, or `latest`.
        roots: where the workspace and `configs/` lie; by default from the environment.

    Raises:
        UserError: there is no such run, there are several, or it records no configuration.
    """
    roots = roots or Roots.from_environment()
    try:
        run = resolve_training_run(text, roots.workspace / _TRAINED)
    except UserError as error:
        if (roots.framework / "configs" / text).is_dir():
            raise UserError(
                f"{text!r} is a configuration: which of its runs is meant is missing",
                hint=f"Give the run after it, or 'latest' for its newest:\n  {text} latest",
            ) from error
        raise
    name = recorded_configuration(run)
    if name is None:
        raise UserError(
            "does not record its configuration", path=run, hint="Give CONFIG_NAME before the name of the run."
        )
    return name
