"""Merges the user's values over the defaults, walks values along their types, and freezes them."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from typing_extensions import is_typeddict

from audio2face.config_base.tables import NetworkType, SectionName, all_bases

Key = TypeVar("Key")
Item = TypeVar("Item")


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


# Called with a mark of `config_base.types`, the marked value, and its location such as `CLIPS[3][0]`.
Change = Callable[[Any, Any, str], Any]


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
