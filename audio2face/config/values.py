"""The values of a configuration: merged over the defaults, checked against their types, and frozen.

Types state ranges, choices, text formats and paths. `Roots` locates datasets and workspace and resolves paths.
"""

from __future__ import annotations

import copy
import difflib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails
from typing_extensions import is_typeddict

from audio2face.config_base.tables import NetworkType, SectionName, all_bases, base_of
from audio2face.config_base.types import PathRule, RootName, TextRule, has_control_characters
from audio2face.errors import UserError
from audio2face.home import find_home

Key = TypeVar("Key")
Item = TypeVar("Item")
# Called with a mark of `config_base.types`, the marked value, and its location such as `CLIPS[3][0]`.
Change = Callable[[Any, Any, str], Any]
Values = dict[str, Any]


class FrozenDict(dict[Key, Item]):
    """An immutable dictionary, equal to a plain one with the same items and written as JSON like it."""

    def _refuse(self, *_args: object, **_named: object) -> NoReturn:
        raise TypeError("a configuration cannot be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[FrozenDict[Key, Item]], tuple[dict[Key, Item]]]:
        """Copies and pickles through a plain dictionary, since items cannot be set one by one."""
        return type(self), (dict(self),)


def freeze(value: Any) -> Any:
    """Returns an equal value made of tuples and `FrozenDict` at every level."""
    if isinstance(value, dict):
        return FrozenDict({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


def walk(kind: Any, value: Any, where: str, change: Change) -> Any:
    """Walks a value along its type and rebuilds it frozen, with every marked part replaced by the result of `change`.

    A part that does not fit its type is kept unchanged.

    Args:
        kind: the type, with marks in `Annotated`.
        value: the value, in JSON types.
        where: location of the value, for messages.
        change: returns the replacement of a marked part.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        value = walk(arguments[0], value, where, change)
        for mark in arguments[1:]:
            value = change(mark, value, where)
        return value
    if origin in (Union, UnionType):
        wanted = next(option for option in arguments if option is not NoneType)
        return None if value is None else walk(wanted, value, where, change)
    if isinstance(value, list | tuple) and origin in (list, tuple):
        kinds = arguments if origin is tuple else arguments * len(value)
        pairs = enumerate(zip(kinds, value, strict=False))
        return tuple(walk(kind, item, f"{where}[{index}]", change) for index, (kind, item) in pairs)
    if isinstance(value, dict):
        if origin is dict:
            kinds_of = dict.fromkeys(value, arguments[1])
            keys = {key: walk(arguments[0], key, f"{where}, key {key!r}", change) for key in value}
        elif is_typeddict(kind):
            kinds_of = get_type_hints(kind, include_extras=True)
            keys = {key: key for key in value if key in kinds_of}
        else:
            return value
        return FrozenDict({keys[key]: walk(kinds_of[key], value[key], f"{where}[{key!r}]", change) for key in keys})
    return value


def merge(base: dict[str, Any], modifier: dict[str, Any]) -> dict[str, Any]:
    """Merges the modifier's values over the base's: dictionaries merge recursively, other values replace.

    Names that are missing in the base are kept as well; `unknown_names` finds them.
    """
    merged = copy.deepcopy(base)
    for name, value in modifier.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = merge(merged[name], value) if both else copy.deepcopy(value)
    return merged


def unknown_names(
    base: dict[str, Any], modifier: dict[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Finds names that are missing in the base.

    An empty dictionary in the base (one entry per actor) accepts any key; one with content only its own keys.

    Yields:
        The path of keys to an unknown name, and the known names at that level.
    """
    for name, value in modifier.items():
        path = (*prefix, name)
        if name not in base:
            yield path, list(base)
        elif isinstance(value, dict) and isinstance(base[name], dict) and base[name]:
            yield from unknown_names(base[name], value, path)


def without_unknown(base: dict[str, Any], modifier: dict[str, Any]) -> dict[str, Any]:
    """Returns the modifier without unknown names."""
    kept = {}
    for name, value in modifier.items():
        if name in base:
            nested = isinstance(value, dict) and isinstance(base[name], dict) and base[name]
            kept[name] = without_unknown(base[name], value) if nested else value
    return kept


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name most similar to the given one, ignoring case; None if none is similar."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_fold, n=1)
    return by_fold[found[0]] if found else None


def explain_unknown(path: tuple[str, ...], known: list[str], section: SectionName, network: NetworkType | None) -> str:
    """Explains an unknown name: suggests the nearest known name, or the file to which the name belongs."""
    shown = path[0] + "".join(f"[{key!r}]" for key in path[1:])
    message = f"{shown}: there is no such parameter"
    if len(path) == 1:
        homes = [(other, kind) for other, kind, base in all_bases() if path[0] in base.types]
        if any(other == section for other, _ in homes):
            return f"{shown}: not a parameter of {network} networks, which NETWORK_TYPE asks for"
        if homes:
            return f"{shown}: belongs in config_{homes[0][0]}.py"
    close = nearest(path[-1], known)
    if close:
        return f"{message}; did you mean {close!r}?"
    if len(path) > 1:
        return f"{message}; docs/config_details.md lists those of {path[0]}"
    return f"{message}; names of your own helpers must start with '_'"


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


@dataclass(frozen=True)
class Roots:
    """The three folders that a container sees as /datasets, /workspace and /framework.

    Attributes:
        datasets: raw data.
        workspace: output of the stages.
        framework: the home folder, with `configs/`, see `audio2face.home`.
    """

    datasets: Path
    workspace: Path
    framework: Path = field(default_factory=find_home)

    @classmethod
    def from_environment(cls) -> Roots:
        """Returns A2F_DATASETS_ROOT and A2F_WORKSPACE_ROOT, else `datasets` and `workspace` of the home folder.

        Inside the container (A2F_IN_CONTAINER=1) they are the mount points.
        """
        if os.environ.get("A2F_IN_CONTAINER") == "1":
            return cls(Path("/datasets"), Path("/workspace"))
        home = find_home()
        return cls(
            Path(os.environ.get("A2F_DATASETS_ROOT") or home / "datasets").absolute(),
            Path(os.environ.get("A2F_WORKSPACE_ROOT") or home / "workspace").absolute(),
            home,
        )

    def resolve(self, configured: str, default: RootName) -> Path:
        """Turns a configured path into a path of this machine.

        `/datasets/...`, `/workspace/...` and `/framework/...` are resolved below the roots, a relative path below the
        default root; other absolute paths stay unchanged.

        Args:
            configured: the path as written in a configuration.
            default: the root of relative paths.

        Raises:
            UserError: the path is empty, holds control characters, or leaves its root by `..`.
        """
        if not configured.strip() or has_control_characters(configured):
            raise UserError(f"path {configured!a} is empty or holds control characters")
        parts = PurePosixPath(configured).parts
        mounts = {"datasets": self.datasets, "workspace": self.workspace, "framework": self.framework}
        if parts[:1] == ("/",) and len(parts) > 1 and parts[1] in mounts:
            root, below = mounts[parts[1]], parts[2:]
        elif configured.startswith("/") or Path(configured).is_absolute():
            return Path(configured)
        else:
            root, below = mounts[default], parts
        if _escapes(below):
            raise UserError(f"path {configured!r} leaves its root folder by '..'", hint="Give an absolute path.")
        return root.joinpath(*below)

    def portable(self, path: Path) -> str:
        """A path as a configuration names it, relative to its root, so that it stays valid when the root moves."""
        for name, root in (("workspace", self.workspace), ("datasets", self.datasets)):
            if path.is_relative_to(root):
                return f"/{name}/{path.relative_to(root).as_posix()}"
        return str(path)


def _escapes(parts: tuple[str, ...]) -> bool:
    """Returns whether following the parts one by one ever leaves the starting folder."""
    depth = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
