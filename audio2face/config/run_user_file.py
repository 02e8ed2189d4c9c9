"""Runs one configuration file of the user and writes its values as JSON; a standalone script.

    python -I run_user_file.py FILE OUTPUT

The output holds `values` and `problems` (line or null, parameter or "", text). Names that begin with `_`, modules,
functions and classes are ignored, unless they are named like a parameter (`RUN_NAME`); a path becomes text, a tuple a
list.
"""

from __future__ import annotations
import __future__

import json
import math
import pathlib
import sys
import types

MAX_DEPTH = 16  # of nested lists and dictionaries; it also ends a list that contains itself
PLAIN_INTEGERS = range(-(2**63), 2**63)


def plain(value: object, where: str, problems: list[str], depth: int = 0) -> object:
    """Converts a value to JSON types; one that JSON cannot represent is reported with its location and becomes None."""
    trouble = trouble_with(value, depth)
    if trouble:
        problems.append(f"{where}: {trouble}")
        return None
    if isinstance(value, pathlib.PurePath):
        return value.as_posix()
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]", problems, depth + 1) for index, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                problems.append(f"{where}: the key {key!r} is of type {type(key).__name__}, keys must be text")
        texts = {key: item for key, item in value.items() if isinstance(key, str)}
        return {key: plain(item, f"{where}[{key!r}]", problems, depth + 1) for key, item in texts.items()}
    return value


def trouble_with(value: object, depth: int) -> str | None:
    """Explains why JSON cannot represent a value, ignoring its items; None when it can."""
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} is not a finite number"
    if isinstance(value, int):
        return None if value in PLAIN_INTEGERS else "the number is too large"
    if isinstance(value, str):
        return "the text is not valid Unicode" if any("\ud800" <= letter <= "\udfff" for letter in value) else None
    if value is None or isinstance(value, pathlib.PurePath):
        return None
    if isinstance(value, list | tuple | dict):
        return f"nested over {MAX_DEPTH} deep" if depth >= MAX_DEPTH else None
    return f"a value of type {type(value).__name__} cannot be configured"


def is_parameter(name: str, value: object) -> bool:
    """Returns whether a name of the file's namespace is a parameter."""
    return not name.startswith("_") and not is_tool(value)


def is_tool(value: object) -> bool:
    """Returns whether a value is a module, function or class that the file uses itself."""
    return isinstance(value, types.ModuleType | __future__._Feature) or callable(value)


def line_of(error: BaseException, file: str) -> int | None:
    """Returns the line of the user's file at which an exception was raised."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    line, frame = None, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == file:
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def run(file: str) -> dict[str, object]:
    """Runs the file and returns its parameters, or the exception that it ended with."""
    space: dict[str, object] = {"__name__": "configuration", "__file__": file}
    try:
        exec(compile(pathlib.Path(file).read_bytes(), file, "exec", dont_inherit=True), space)
        return collect(space)
    except BaseException as error:  # including SystemExit and KeyboardInterrupt
        message = error.msg if isinstance(error, SyntaxError) else error
        problem = f"running it failed: {type(error).__name__}: {message}"
        return {"values": {}, "problems": [(line_of(error, file), "", problem)]}


def collect(space: dict[str, object]) -> dict[str, object]:
    """Returns the parameters of a namespace; values of the user's own classes may run their code here."""
    values, problems = {}, []
    for name, value in space.items():
        if name.isupper() and is_tool(value):
            problems.append((None, name, f"{name}: {trouble_with(value, 0)}"))
        elif is_parameter(name, value):
            found: list[str] = []
            values[name] = plain(value, name, found)
            problems += [(None, name, text) for text in found]
    return {"values": values, "problems": problems}


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).write_text(json.dumps(run(sys.argv[1])), encoding="utf-8")
