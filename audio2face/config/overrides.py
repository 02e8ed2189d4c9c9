"""Parameters given as arguments, `--set NAME=VALUE`: which section each belongs to, and its value.

NAME is a parameter (`NUM_EPOCHS`), an entry of one that is a dictionary (`NETWORK_HYPER_PARAMS.gru_feature_dim`), or
either with its section in front, where two sections have it (`inference.TIMESTEP_RESPACING`). VALUE is written as in a
configuration file; text needs no quotes. Types are checked later, together with those of the files.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from audio2face.config.run_user_file import plain
from audio2face.config.values import merge, nearest, shorten
from audio2face.config_base.tables import SECTIONS, SectionName, all_bases
from audio2face.config_base.types import Stage


@dataclass(frozen=True)
class Override:
    """One argument.

    Attributes:
        source: the argument as messages name it.
        section: the section that it sets a parameter of.
        values: the parameter with its value, in terms of JSON; an entry of a dictionary as a dictionary with that one.
    """

    source: str
    section: SectionName
    values: dict[str, Any]


class OverrideError(ValueError):
    """What is wrong with an argument.

    Args:
        source: the argument as messages name it.
        problem: what is wrong.
    """

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(problem)
        self.source = source


def parse_override(argument: str, stage: Stage, sections: Sequence[SectionName]) -> Override:
    """Reads one argument.

    Args:
        argument: `NAME=VALUE`.
        stage: the stage that the configuration is for.
        sections: the sections that the stage reads; the first that has the parameter is meant.

    Raises:
        OverrideError: it has another form, its value cannot be configured, or the stage reads no such parameter.
    """
    path, equals, text = argument.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise OverrideError(f"--set {shorten(argument)}", "should be NAME=VALUE, such as NUM_EPOCHS=3")
    source = f"--set {path.strip()}"
    section = next((name for name in SECTIONS if name == keys[0]), None)
    if section is None:
        section = _section_of(keys[0], source, stage, sections)
    else:
        del keys[0]
        if section not in sections:
            raise OverrideError(source, f"stage {stage} does not read config_{section}.py")
    problems: list[str] = []
    is_text = len(keys) == 1 and _is_text(_parameters(section).get(keys[0]))
    value = plain(_value(text.strip(), is_text), ".".join(keys), problems)
    if problems or not keys:
        raise OverrideError(source, problems[0] if problems else f"should name a parameter of config_{section}.py")
    for key in reversed(keys):
        value = {key: value}
    assert isinstance(value, dict)
    return Override(source, section, value)


def merge_overrides(overrides: Sequence[Override], section: SectionName) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of all arguments of a section, a later one over an earlier one; and the argument of each parameter."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for override in overrides:
        if override.section == section:
            values = merge(values, override.values)
            sources |= dict.fromkeys(override.values, override.source)
    return values, sources


def _section_of(name: str, source: str, stage: Stage, sections: Sequence[SectionName]) -> SectionName:
    """The first of the sections that has a parameter, whichever network type it is for."""
    for section in (*sections, *SECTIONS):
        if name in _parameters(section):
            if section not in sections:
                raise OverrideError(source, f"stage {stage} does not read config_{section}.py, which has it")
            return section
    close = nearest(name, [each for section in sections for each in _parameters(section)])
    meant = f"; did you mean {close!r}?" if close else "; docs/config_details.md lists them"
    raise OverrideError(source, f"there is no such parameter{meant}")


def _parameters(section: SectionName) -> dict[str, Any]:
    """All parameters of a section, for whichever network type, with their types."""
    bases = [base for name, _, base in all_bases() if name == section]
    return {parameter: kind for base in bases for parameter, kind in base.types.items()}


def _is_text(kind: Any) -> bool:
    """Whether values of a type are text, or text and None."""
    options = [option for option in get_args(kind) if option is not NoneType]
    if get_origin(kind) in (Annotated, Union, UnionType):
        return _is_text(options[0])
    return kind is str


def _value(text: str, is_text: bool) -> object:
    """The value of a Python literal; what is none is text, and so is a number where text is asked for."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return text if is_text and isinstance(value, int | float) else value
