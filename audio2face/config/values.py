"""Checks values against the types of their parameters: numbers with ranges, choices, text formats, paths."""

from __future__ import annotations

import json
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails

from audio2face.config.merge import walk
from audio2face.config.paths import Roots
from audio2face.config_base.tables import NetworkType, SectionName, base_of
from audio2face.config_base.types import PathRule, TextRule
from audio2face.errors import UserError

Values = dict[str, Any]


def check_values(
    section: SectionName, network_type: NetworkType | None, values: Values, roots: Roots
) -> tuple[Values, list[tuple[str, str]]]:
    """Checks every value of a section strictly; only integers are also accepted as floating-point numbers.

    Args:
        section: the section.
        network_type: the network type.
        values: a value for every parameter, in JSON types.
        roots: folders that paths start from.

    Returns:
        The valid values, numbers converted to their types; and the problems, each a parameter and a message.
    """
    problems: list[tuple[str, str]] = []
    good = values
    try:
        checked = _model(section, network_type).model_validate_json(json.dumps(values), strict=True)
        good = {name: getattr(checked, name) for name in values}
    except ValidationError as error:
        problems += [_explain(details) for details in error.errors(include_url=False)]
    for name, kind in base_of(section, network_type).types.items():
        problems += [(name, message) for message in _form_problems(kind, values[name], name, roots)]
    bad = {name for name, _ in problems}
    return {name: value for name, value in good.items() if name not in bad}, problems


@cache
def _model(section: SectionName, network_type: NetworkType | None) -> type[BaseModel]:
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in base_of(section, network_type).types.items()}
    return create_model(section, **fields)


def _explain(details: ErrorDetails) -> tuple[str, str]:
    """Returns parameter and message of one error of the type check."""
    name, *keys = details["loc"]
    where = str(name) + "".join(f"[{key!r}]" for key in keys if key != "[key]")
    message = details["msg"].replace("Input should", "should").replace("Field required", "is missing")
    found = "" if details["type"] == "missing" else f", found {shorten(details['input'])}"
    return str(name), f"{where}: {message}{found}"


def shorten(value: object) -> str:
    """Shortens a value for a message."""
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _form_problems(kind: Any, value: Any, name: str, roots: Roots) -> list[str]:
    """Returns the problems of text formats and paths anywhere in a value."""
    problems: list[str] = []

    def look(mark: Any, text: Any, where: str) -> Any:
        if isinstance(mark, TextRule) and isinstance(text, str) and not mark.accepts(text):
            problems.append(f"{where}: should be {mark.words}, found {shorten(text)}")
        if isinstance(mark, PathRule) and isinstance(text, str):
            try:
                roots.resolve(text, mark.root)
            except UserError as error:
                problems.append(f"{where}: {error.problem}")
            if mark.suffix and PurePosixPath(text).suffix.lower() != mark.suffix:
                problems.append(f"{where}: should be the path of a {mark.suffix} file, found {shorten(text)}")
        return text

    walk(kind, value, name, look)
    return problems
