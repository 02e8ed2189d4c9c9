"""What the user gives for one section: a file, laid over the files that it extends, and arguments laid over both.

`EXTENDS = "example-diffusion"` in `configs/mine/config_train.py` takes all values of
`configs/example-diffusion/config_train.py`, which may extend another one in turn; the values of the extending file are
merged over them. Files run in processes of their own. Independent of types and defaults.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from audio2face.config.values import merge, nearest, shorten
from audio2face.home import config_names

EXTENDS = "EXTENDS"
# Python 3.11's parser shares one depth counter among all threads and fails when two parse at once.
_PARSING = threading.Lock()
SCRIPT = Path(__file__).with_name("run_user_file.py")
TIME_LIMIT_SECONDS = 30.0


@dataclass(frozen=True)
class Place:
    """Where a value was given, as messages name it.

    Attributes:
        source: a file, as `config_train.py`, or `example/config_train.py` of an extended configuration; or an argument.
        line: the line of the file; 0 where it is not known.
        rank: the order of sources in a report: 0 for the section's own file, 1 for the one that it extends, and so on.
    """

    source: str
    line: int = 0
    rank: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True)
class UserSection:
    """What the user gives for one section.

    Attributes:
        path: the section's own file, whether it exists or not.
        values: the merged parameters in terms of JSON, unchecked.
        places: where each parameter was given last.
        problems: what went wrong while files ran: place, parameter ("": none) and message.
    """

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    problems: tuple[tuple[Place, str, str], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a file failed to run, or could not be found, so that values are missing."""
        return any(not parameter for _, parameter, _ in self.problems)

    def place_of(self, name: str) -> Place:
        """Where a parameter was given; the file as a whole where it was not."""
        return self.places.get(name, Place(self.path.name))

    def with_arguments(self, values: Mapping[str, Any], sources: Mapping[str, str]) -> UserSection:
        """The section with the values of arguments merged over it.

        Args:
            values: parameters in terms of JSON.
            sources: the argument of each of them.
        """
        places = {name: Place(source, rank=sys.maxsize) for name, source in sources.items()}
        return UserSection(self.path, merge(self.values, dict(values)), self.places | places, self.problems)


def read_section(path: Path, folders: Sequence[Path]) -> UserSection:
    """Runs a file and those that it extends, each in a process of its own, and merges them.

    Args:
        path: the file, in a folder of a folder of configurations.
        folders: the folders of configurations, in the order in which they are searched.

    Returns:
        What they set; trouble is in `problems`, nothing is raised for it. Empty where there is no such file.
    """
    if not path.is_file():
        return UserSection(path)
    files = [run_user_file(path)]
    trouble: list[tuple[Place, str, str]] = []
    while EXTENDS in files[-1].values and not files[-1].failed:
        try:
            files.append(run_user_file(_extended_file(files, folders)))
        except ValueError as error:
            trouble.append((_place(files, len(files) - 1, EXTENDS), "", f"{EXTENDS}: {error}"))
            break
    values: dict[str, Any] = reduce(merge, (file.values for file in reversed(files)))
    values.pop(EXTENDS, None)
    places = {name: _place(files, rank, name) for rank in reversed(range(len(files))) for name in files[rank].values}
    return UserSection(path, values, places, (*_problems(files), *trouble))


def _extended_file(files: list[UserFile], folders: Sequence[Path]) -> Path:
    """The file that the last of a chain extends: of the same folder of configurations, or of a later one.

    A shipped file thus extends a shipped one, whatever names the user's own have.

    Raises:
        ValueError: there is none, or it is one of the chain; the message says what to write instead.
    """
    last, name = files[-1].path, files[-1].values[EXTENDS]
    configs = last.parent.parent
    searched = [configs, *folders[folders.index(configs) + 1 :]]
    names = config_names(searched)
    if not isinstance(name, str):
        raise ValueError(f"should be the name of a configuration, found {shorten(name)}")
    if name not in names:
        close = nearest(name, names)
        meant = f"; did you mean {close!r}?" if close else f"; there are {', '.join(names)}"
        raise ValueError(f"there is no configuration {shorten(name)}{meant}")
    chain = [file.path.parent.name for file in files]
    if name in chain:
        raise ValueError(f"a configuration cannot extend itself: {' -> '.join([*chain, name])}")
    found = next(folder / name for folder in searched if (folder / name).is_dir())
    if not (found / last.name).is_file():
        raise ValueError(f"configuration {name!r} has no {last.name}")
    return found / last.name


def _place(files: list[UserFile], rank: int, name: str) -> Place:
    """Where the file of a rank assigns to a name."""
    path = files[rank].path
    source = path.name if rank == 0 else f"{path.parent.name}/{path.name}"
    return Place(source, files[rank].lines.get(name, 0), rank)


def _problems(files: list[UserFile]) -> Iterable[tuple[Place, str, str]]:
    for rank, file in enumerate(files):
        for line, name, text in file.problems:
            place = _place(files, rank, name)
            yield Place(place.source, line or place.line, rank), name, text


@dataclass(frozen=True)
class UserFile:
    """The values that a file sets.

    Attributes:
        path: the file.
        values: its parameters in JSON types, unchecked.
        lines: the line of the last assignment to each name.
        problems: errors of running it: line (None: unknown), parameter ("": none) and message.
    """

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: tuple[tuple[int | None, str, str], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether running the file failed."""
        return any(not parameter for _, parameter, _ in self.problems)


def run_user_file(path: Path, time_limit: float = TIME_LIMIT_SECONDS) -> UserFile:
    """Runs a configuration file, isolated from this process and its environment; its errors become `problems`.

    Args:
        path: the file.
        time_limit: seconds after which it is stopped.

    Returns:
        The values of the file and its problems.
    """
    with tempfile.TemporaryDirectory(prefix="a2f_config_") as folder:
        result = Path(folder, "result.json")
        command = [sys.executable, "-I", str(SCRIPT), str(path), str(result)]
        try:
            # Output of the user's code goes to standard error: standard output belongs to the stage.
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, timeout=time_limit, check=False)
        except subprocess.TimeoutExpired:
            return UserFile(path, problems=((None, "", f"still running after {time_limit:g} s, stopped"),))
        if not result.is_file():
            ended = f"its process ended with status {done.returncode} before it returned a result"
            return UserFile(path, problems=((None, "", ended),))
        answer = json.loads(result.read_text(encoding="utf-8"))
    problems = tuple((line, name, text) for line, name, text in answer["problems"])
    return UserFile(path, answer["values"], _assignment_lines(path), problems)


def _assignment_lines(path: Path) -> dict[str, int]:
    """Returns the line of the last assignment to each name of a file; empty if the file is not valid Python."""
    try:
        with _PARSING:
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return {}
    stores = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return {node.id: node.lineno for node in sorted(stores, key=lambda node: node.lineno)}
