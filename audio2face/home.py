"""Where configurations, data and results lie: the home folder of a user, and the configurations that are shipped.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import os
from pathlib import Path

HOME_VARIABLE = "A2F_HOME"
PACKAGES = Path(__file__).resolve().parents[1]  # the folder that holds the package: a repository or site-packages
_IN_WHEEL = "shipped_configs"  # folder of the package; setup.py puts the repository's `configs` there


def in_repository() -> bool:
    """Whether this package is part of a repository, and not installed from a wheel."""
    return (PACKAGES / "run_train.py").is_file()


def find_home() -> Path:
    """The folder that holds `configs/`, `datasets/`, `workspace/` and `.env`.

    A2F_HOME, or the current folder where it has a folder `configs`, or the repository that this package is part of, or
    the current folder.
    """
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named).absolute()
    here = Path.cwd()
    return PACKAGES if not (here / "configs").is_dir() and in_repository() else here


def home_rule() -> str:
    """Why the home folder is the one that `find_home` returns."""
    if os.environ.get(HOME_VARIABLE):
        return f"named by {HOME_VARIABLE}"
    if (Path.cwd() / "configs").is_dir():
        return "the current folder, which holds configs"
    return "the repository" if in_repository() else "the current folder"


def shipped_configs() -> Path:
    """The folder of the configurations that come with the framework."""
    return PACKAGES / "configs" if in_repository() else Path(__file__).resolve().parent / _IN_WHEEL


def config_folders(home: Path) -> list[Path]:
    """The folders in which configurations are looked for, in order: the user's own, then the shipped one."""
    own, shipped = home / "configs", shipped_configs()
    return [own] if own.resolve() == shipped.resolve() else [own, shipped]


def config_names(folders: list[Path]) -> list[str]:
    """The names of all configurations of some folders, sorted; folders that are not there count as empty."""
    found = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir()}
    return sorted(found - {"__pycache__"})
