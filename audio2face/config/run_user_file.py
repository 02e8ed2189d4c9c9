"""Runs one configuration file of the user and writes what it sets as JSON. A script of its own: imports no project.

    python -I run_user_file.py FILE OUTPUT

The output holds `values` and `problems` (line or null, text). Names that begin with `_`, modules, functions and classes
are no parameters; a path becomes text, a tuple a list.
"""

from __future__ import annotations

import __future__
import json
import math
import pathlib
import runpy
import sys
import traceback
import types

Problems = list[tuple[int | None, str]]


def plain(value: object, where: str, problems: Problems) -> object:
    """The value in terms of JSON; what JSON cannot hold is reported with its place and becomes None."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            problems.append((None, f"{where}: {value} is not a finite number"))
        return value
    if isinstance(value, pathlib.PurePath):
        return value.as_posix()
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]", problems) for index, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                problems.append((None, f"{where}: the key {key!r} is of type {type(key).__name__}; keys must be text"))
        return {key: plain(item, f"{where}[{key!r}]", problems) for key, item in value.items() if isinstance(key, str)}
    problems.append((None, f"{where}: a value of type {type(value).__name__} cannot be configured"))
    return None


def is_parameter(name: str, value: object) -> bool:
    """Whether a name of the file's namespace is meant as a parameter."""
    tool = isinstance(value, types.ModuleType | __future__._Feature) or callable(value)
    return not name.startswith("_") and not tool


def line_of(error: BaseException, file: str) -> int | None:
    """The line of the user's file at which an exception arose."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def run(file: str) -> dict[str, object]:
    """The file's parameters, or the exception that it ended with."""
    problems: Problems = []
    try:
        space = runpy.run_path(file)
        values = {name: plain(value, name, problems) for name, value in space.items() if is_parameter(name, value)}
    except BaseException as error:  # SystemExit and KeyboardInterrupt of the user's code as well
        said = traceback.format_exception_only(type(error), error)[-1].strip()
        return {"values": {}, "problems": [(line_of(error, file), f"running it failed: {said}")]}
    return {"values": values, "problems": problems}


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).write_text(json.dumps(run(sys.argv[1])), encoding="utf-8")
