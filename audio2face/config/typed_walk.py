"""Walks a value along its type: the one place that knows how types nest."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from typing_extensions import is_typeddict

from audio2face.config.frozen import FrozenDict

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
