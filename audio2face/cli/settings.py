"""The home folder and the settings of a user (`.env` and the process's own variables), as variables of a stage.

Standard library only, and readable by any Python from 3.8 on: it must be able to say what is wrong.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import NoReturn

from audio2face import home as places
from audio2face.home import HOME_VARIABLE, PACKAGES

SETTINGS = (
    "A2F_DATASETS_ROOT",
    "A2F_WORKSPACE_ROOT",
    "A2F_RUNTIME",
    "A2F_TORCH_INDEX",
    "A2F_MODELS_ROOT",
    "A2F_DOCKER_OPTIONS",
)
# As shells read it: a comment after a value stands apart, and quotes keep what looks like one.
_SETTING = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*
    (?:(?P<quote>["'])(?P<quoted>.*?)(?P=quote)|(?P<plain>(?!["']).*?))(?:\s+\#.*)?""",
    re.VERBOSE,
)


def find_home() -> Path:
    """The home folder, see `audio2face.home`; in A2F_HOME `~` is the user's own folder."""
    named = os.environ.get(HOME_VARIABLE)
    return absolute(HOME_VARIABLE, named, Path.cwd()) if named else places.find_home()


def fail(message: str) -> NoReturn:
    """Ends the process with status 2 and one message on standard error."""
    print("[ERROR] " + message, file=sys.stderr, flush=True)
    sys.exit(2)


def read_settings(path: Path) -> dict[str, str]:
    """Reads `.env`: lines of NAME=VALUE, quotes and `export` optional, `#` comments; nothing in it is executed."""
    settings: dict[str, str] = {}
    if not path.is_file():
        return settings
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path.name} cannot be read as UTF-8 text: {error}")
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _SETTING.fullmatch(text)
        if match is None or "\0" in text:
            fail(f"{path.name}: line {number} is not NAME=VALUE: {text!r}")
        name = match["name"]
        if name.startswith("A2F_") and name not in SETTINGS:
            fail(f"{path.name}: line {number}: there is no setting {name}; there are {', '.join(SETTINGS)}")
        settings[name] = match["quoted"] if match["quote"] else match["plain"]
    return settings


def stage_environment(settings: dict[str, str], home: Path) -> dict[str, str]:
    """The environment variables of a stage: the process's own, over those of `.env`, with absolute data roots.

    Args:
        settings: those of `.env`.
        home: the home folder, which relative paths start from.
    """
    merged = dict(settings)
    merged.update(os.environ)
    merged[HOME_VARIABLE] = str(home)
    for name, folder in (("A2F_DATASETS_ROOT", "datasets"), ("A2F_WORKSPACE_ROOT", "workspace")):
        merged[name] = str(absolute(name, merged.get(name) or folder, home))
    if merged.get("A2F_MODELS_ROOT"):
        merged["A2F_MODELS_ROOT"] = str(absolute("A2F_MODELS_ROOT", merged["A2F_MODELS_ROOT"], home))
    merged["PYTHONPATH"] = str(PACKAGES)
    # The stages spread work over the cores themselves; numpy's own threads below that would only wait for each other.
    merged.setdefault("OPENBLAS_NUM_THREADS", "1")
    return merged


def absolute(name: str, value: str, home: Path) -> Path:
    """The path of a setting: `~` is the user's own folder, and relative paths start from `home`."""
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        fail(f"{name} is {value!r}: there is no such home folder")
    return path if path.is_absolute() else (home / path).resolve()
