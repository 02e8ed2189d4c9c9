"""Loads a configuration: runs the user's files, merges them over the base modules, and checks all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audio2face.config import references, rules
from audio2face.config.complete import complete
from audio2face.config.configuration import ConfigError, Configuration
from audio2face.config.draft import Draft, add_section, best_network_type
from audio2face.config.frozen import freeze
from audio2face.config.merge import nearest
from audio2face.config.paths import Roots
from audio2face.config.user_file import UserFile, run_user_file
from audio2face.config.values import shorten
from audio2face.config_base.tables import BY_NETWORK_TYPE, NETWORK_TYPES, SECTIONS, SectionName
from audio2face.config_base.types import Stage
from audio2face.errors import UserError
from audio2face.names import check_identifier

# The sections that a stage reads: those whose file must be there, and those whose defaults may do.
REQUIRED: dict[Stage, tuple[SectionName, ...]] = {
    "check": ("dataset",),
    "preproc": ("dataset", "preproc"),
    "train": ("dataset", "train"),
    "deploy": ("train",),
    "inference": ("dataset", "train", "inference"),
}
OPTIONAL: dict[Stage, tuple[SectionName, ...]] = {
    "check": ("preproc",),
    "preproc": (),
    "train": ("inference",),
    "deploy": ("inference",),
    "inference": (),
}


def load(
    config_name: str,
    *,
    stage: Stage,
    actors: Sequence[str] | None = None,
    roots: Roots | None = None,
    configs_folder: Path | None = None,
    check_files: bool = True,
) -> Configuration:
    """Loads the configuration of one stage.

    Every file that the configuration has is run and checked, whether the stage reads it or not, so that a mistake shows
    before hours of work; what must exist on disk is asked for by the stage that reads it. The dataset check reports
    missing files itself.

    Args:
        config_name: name of a folder in `configs/`.
        stage: the stage that the configuration is for.
        actors: the actors to work on; all of ACTOR_NAMES by default.
        roots: where datasets and workspace lie; by default as the environment says.
        configs_folder: the folder of configurations; by default `configs/` of the framework.
        check_files: whether files and runs that the stage reads must exist.

    Raises:
        ConfigError: something is wrong; it lists all problems of all files.
        UserError: there is no such configuration.
    """
    roots = roots or Roots.from_environment()
    folder = _find_folder(config_name, configs_folder or roots.framework / "configs")
    draft = Draft(stage, roots, tuple(actors or ()))
    for actor in draft.actors:
        check_identifier(actor, "actor name")
    _read_files(draft, folder)
    _check(draft, check_files)
    if draft.problems:
        raise ConfigError(config_name, stage, folder, tuple(draft.problems))
    return Configuration(
        name=config_name,
        stage=stage,
        actors=references.concerned_actors(draft),
        network_type=draft.network_type,
        roots=roots,
        modifiers=freeze({name: section.written for name, section in draft.sections.items()}),
        full=freeze({name: section.values for name, section in draft.sections.items()}),
        warnings=tuple(draft.warnings),
    )


def _find_folder(config_name: str, folder: Path) -> Path:
    check_identifier(config_name, "configuration name")
    if (folder / config_name).is_dir():
        return folder / config_name
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    close = nearest(config_name, names)
    hint = f"There are: {', '.join(names)}." if names else "Make a folder there with your configuration files."
    meant = f"; did you mean {close!r}?" if close else ""
    raise UserError(f"there is no configuration {config_name!r}{meant}", path=folder, hint=hint)


def _read_files(draft: Draft, folder: Path) -> None:
    """Runs and merges the user's files; one that the stage can do without counts as empty."""
    expected = {f"config_{name}.py": name for name in SECTIONS}
    for path in sorted(folder.glob("config_*.py")):
        if path.name not in expected:
            draft.warnings.append(f"{path.name}: not read{references.instead(path.name, list(expected))}")
    users = {name: run_user_file(path) for file, name in expected.items() if (path := folder / file).is_file()}
    for name in REQUIRED[draft.stage]:
        if name not in users:
            draft.problems.append(f"config_{name}.py: is missing, stage {draft.stage} needs it")
    _find_network_type(draft, users)
    for name in OPTIONAL[draft.stage]:
        users.setdefault(name, UserFile(folder / f"config_{name}.py"))
    for name in SECTIONS:
        if name in users:
            add_section(draft, name, users[name], complete)


def _find_network_type(draft: Draft, users: dict[SectionName, UserFile]) -> None:
    """Takes the network type from config_train.py, where it must stand, since it decides which parameters there are."""
    for name in BY_NETWORK_TYPE:
        if name in users and draft.network_type is None:
            draft.network_type = best_network_type(name, users[name])
    if "train" not in users or users["train"].failed:
        return
    user = users["train"]
    given = user.values.pop("NETWORK_TYPE", None)
    draft.network_type = next((kind for kind in NETWORK_TYPES if kind == given), draft.network_type)
    if draft.network_type == given:
        user.values["NETWORK_TYPE"] = given
        return
    found = "it is missing" if given is None else f"found {shorten(given)}"
    said = f"NETWORK_TYPE: must be given as 'regression' or 'diffusion', {found}"
    draft.problems.append(f"{user.place('NETWORK_TYPE')}: {said}")


def _check(draft: Draft, check_files: bool) -> None:
    references.asked_actors(draft)
    references.members(draft)
    draft.apply(references.required_entries)
    for rule in rules.RULES:
        draft.apply(rule)
    rules.note_what_may_be_meant(draft)
    if check_files:
        references.files(draft)
        draft.apply(references.preproc_runs)
        draft.apply(references.clip_audio)
