"""Values that cannot change: lists become tuples, dictionaries refuse changes."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

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
