"""The user's values over the defaults: which names there are, and how nested dictionaries merge."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from audio2face.config_base.tables import NetworkType, SectionName, all_bases


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
