"""Values that cannot change: lists become tuples, dictionaries refuse changes."""

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
    """A dictionary that refuses changes; it compares with, and is written as JSON like, a plain one."""

    def _refuse(self, *_args: object, **_named: object) -> NoReturn:
        raise TypeError("a configuration cannot be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[FrozenDict[Key, Item]], tuple[dict[Key, Item]]]:
        """Copies and pickles by way of a plain dictionary, since items cannot be set one by one."""
        return type(self), (dict(self),)


def freeze(value: Any) -> Any:
    """An equal value, all the way down of tuples and `FrozenDict`."""
    if isinstance(value, dict):
        return FrozenDict({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


# Called with a mark of `config_base.types`, the value that carries it, and its place such as `CLIPS[3][0]`.
Change = Callable[[Any, Any, str], Any]


def walk(kind: Any, value: Any, where: str, change: Change) -> Any:
    """Rebuilds a value frozen (tuples, `FrozenDict`), with every marked part replaced by what `change` returns.

    A part that does not fit its type is left as it is.

    Args:
        kind: the type, with marks in `Annotated`.
        value: the value, in terms of JSON.
        where: the place of the value, for messages.
        change: gives the replacement of a marked part.
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
    """The modifier's values over the base's: dictionaries merge, key by key, all the way down; anything else replaces.

    Names that the base does not have are taken over as well; `unknown_names` finds them.
    """
    merged = copy.deepcopy(base)
    for name, value in modifier.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = merge(merged[name], value) if both else copy.deepcopy(value)
    return merged


def unknown_names(
    base: dict[str, Any], modifier: dict[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Finds names that the base does not have.

    An empty dictionary in the base (one entry per actor) takes any key; one with content only its own.

    Yields:
        The path of keys to an unknown name, and the names known in its place.
    """
    for name, value in modifier.items():
        path = (*prefix, name)
        if name not in base:
            yield path, list(base)
        elif isinstance(value, dict) and isinstance(base[name], dict) and base[name]:
            yield from unknown_names(base[name], value, path)


def without_unknown(base: dict[str, Any], modifier: dict[str, Any]) -> dict[str, Any]:
    """The modifier less the names that `unknown_names` finds."""
    kept = {}
    for name, value in modifier.items():
        if name in base:
            nested = isinstance(value, dict) and isinstance(base[name], dict) and base[name]
            kept[name] = without_unknown(base[name], value) if nested else value
    return kept


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like the one given, upper or lower case aside; None when none is like it."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_fold, n=1)
    return by_fold[found[0]] if found else None


def explain_unknown(path: tuple[str, ...], known: list[str], section: SectionName, network: NetworkType | None) -> str:
    """A message for an unknown name: the nearest known one, or where the name belongs."""
    shown = path[0] + "".join(f"[{key!r}]" for key in path[1:])
    said = f"{shown}: there is no such parameter"
    if len(path) == 1:
        homes = [(other, kind) for other, kind, base in all_bases() if path[0] in base.types]
        if (section, "diffusion" if network == "regression" else "regression") in homes:
            return f"{shown}: not a parameter of {network} networks, which NETWORK_TYPE asks for"
        if homes:
            return f"{shown}: belongs in config_{homes[0][0]}.py"
    close = nearest(path[-1], known)
    if close:
        return f"{said}; did you mean {close!r}?"
    if len(path) > 1:
        return f"{said}; docs/config_details.md lists those of {path[0]}"
    return f"{said}; a helper of your own must begin with '_'"
