"""Run names as people type them: `latest`, the end of a name or any unique part of it stand for the full name.

A full name is date, time and the configured name, such as `261123_101500_first-try`. Of the names that a text may stand
for, those that fit best count: the whole name first, then the configured name, then an end, then any part.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from audio2face.errors import UserError

LATEST = "latest"
# Of a run folder.
CONFIGURATION_FILE = "configs/configuration.json"  # which `Configuration.open` reads
WEIGHTS_FILE = "weights.safetensors"  # of a finished training
_FULL_NAME = re.compile(r"(?P<time>\d{6}_\d{6})_(?P<run_name>.+)", re.ASCII)
_TIME = "%y%m%d_%H%M%S"
_MOST_LISTED = 8


def configured_name(full_name: str) -> str | None:
    """The configured name (RUN_NAME), which follows date and time; None for other names of folders."""
    match = _FULL_NAME.fullmatch(full_name)
    return None if match is None else match["run_name"]


def run_folders(root: Path) -> list[Path]:
    """The folders of runs below `root`, newest first: by the time in their names, else by that of their last change."""
    try:
        found = [path for path in root.iterdir() if not path.name.startswith(".") and path.is_dir()]
    except OSError:
        return []
    return sorted(found, key=_age, reverse=True)


def _age(path: Path) -> tuple[str, str]:
    match = _FULL_NAME.fullmatch(path.name)
    if match is not None:
        return match["time"], path.name
    try:
        return f"{datetime.fromtimestamp(path.stat().st_mtime):{_TIME}}", path.name
    except OSError:
        return "", path.name


def matching_names(text: str, names: Iterable[str]) -> list[str]:
    """The names that match a text, in their order: those of the closest kind of match only."""
    known = list(names)
    kinds: tuple[Callable[[str], bool], ...] = (
        lambda name: name == text,
        lambda name: configured_name(name) == text,
        lambda name: name.endswith(text),
        lambda name: text in name,
    )
    return next((found for kind in kinds if (found := [name for name in known if kind(name)])), [])


def resolve_run(
    text: str,
    folders: Iterable[Path],
    what: str,
    root: Path,
    *,
    is_latest: Callable[[Path], bool] = lambda folder: True,
    latest_words: str = "",
) -> Path:
    """Finds the run that matches a text.

    Args:
        text: a full name, `latest`, an end of a name, or a part of it.
        folders: the folders of runs, newest first.
        what: what they are, such as "training run".
        root: the folder that contains them, for messages.
        is_latest: which of them `latest` may select.
        latest_words: what those are, such as " finished"; with a space before it.

    Raises:
        UserError: there is no such run, or there are several; the message lists the nearest or all of them.
    """
    by_name = {folder.name: folder for folder in folders}
    if text == LATEST and text not in by_name:
        found = next((folder for folder in by_name.values() if is_latest(folder)), None)
        if found is None:
            raise UserError(f"there is no{latest_words} {what} yet", path=root, hint=_newest(by_name))
        return found
    names = matching_names(text, by_name)
    if len(names) == 1:
        return by_name[names[0]]
    if names:
        raise UserError(
            f"{text!r} may be any of {len(names)} {what}s",
            path=root,
            hint=f"Give more of the name. Newest first:{_listed(names)}",
        )
    raise UserError(f"there is no {what} {text!r}{_meant(text, by_name)}", path=root, hint=_newest(by_name))


def _listed(names: list[str]) -> str:
    more = [f"and {len(names) - _MOST_LISTED} more"] if len(names) > _MOST_LISTED else []
    return "".join(f"\n    {line}" for line in names[:_MOST_LISTED] + more)


def _meant(text: str, names: Iterable[str]) -> str:
    """The nearest name, by the whole of it or by its configured name."""
    forms: dict[str, str] = {}
    for name in names:
        forms.setdefault((configured_name(name) or name).casefold(), name)
    forms.update({name.casefold(): name for name in names})
    close = difflib.get_close_matches(text.casefold(), forms, n=1)
    return f"; did you mean {forms[close[0]]!r}?" if close else ""


def _newest(names: Iterable[str]) -> str:
    known = list(names)
    if not known:
        return "The folder holds no run."
    return f"Newest first:{_listed(known)}"


def is_trained(run: Path) -> bool:
    """Whether a training run has weights to deploy."""
    return (run / WEIGHTS_FILE).is_file()


def recorded_configuration(run: Path) -> str | None:
    """The name of the configuration that a run records; None where it records none."""
    try:
        return str(json.loads((run / CONFIGURATION_FILE).read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def resolve_training_run(text: str, root: Path, configuration: str | None = None, also: Iterable[Path] = ()) -> Path:
    """Finds a training run to deploy or to animate from; `latest` is the newest that has weights.

    Args:
        text: what was typed, see `resolve_run`.
        root: TRAIN_OUTPUT_ROOT.
        configuration: `latest` is a run of this configuration; None: of any.
        also: folders of other roots whose names are those of training runs, such as deployed models.

    Raises:
        UserError: there is no such run, or there are several.
    """
    folders = {folder.name: folder for folder in [*also, *run_folders(root)]}
    return resolve_run(
        text,
        sorted(folders.values(), key=_age, reverse=True),
        "training run",
        root,
        is_latest=lambda run: is_trained(run) and configuration in (None, recorded_configuration(run)),
        latest_words=" finished" if configuration is None else f" finished {configuration!r}",
    )


def find_model(text: str, root: Path) -> Path:
    """The folder of a deployed model that is given as a path, or as a name (or a part of one) in `root`.

    Raises:
        UserError: the name is that of no model, or of several.
    """
    folder, deployed = Path(text), run_folders(root)
    if folder.is_dir() or folder.name != text or not (deployed or text == LATEST):
        return folder
    return resolve_run(text, deployed, "deployed model", root)
