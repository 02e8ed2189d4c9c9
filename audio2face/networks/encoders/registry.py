"""The speech encoders by name. A new encoder is one new file in `entries`, which defines `ENTRIES`."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from audio2face.errors import UserError
from audio2face.networks.encoders import entries
from audio2face.networks.encoders.encoder import SpeechEncoder
from audio2face.networks.encoders.entry import Entry
from audio2face.networks.encoders.sources import MissingWeightsError, Where


@functools.cache
def _entries() -> dict[str, Entry]:
    names = sorted(module.name for module in pkgutil.iter_modules(entries.__path__))
    modules = [importlib.import_module(f"{entries.__name__}.{name}") for name in names]
    return {entry.name: entry for module in modules for entry in module.ENTRIES}


def available() -> tuple[str, ...]:
    """The names of all speech encoders."""
    return tuple(_entries())


def ready(models_root: Path | None = None) -> tuple[str, ...]:
    """The names of the encoders whose weights are on this machine.

    Args:
        models_root: a folder that holds one folder of weights per encoder, named like it.
    """
    return tuple(
        name
        for name, entry in _entries().items()
        if entry.pretrained is None or entry.pretrained.source.find(Where(name, models_root)) is not None
    )


def create(
    name: str,
    *,
    models_root: Path | None = None,
    folder: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> SpeechEncoder:
    """Makes a speech encoder with its pretrained weights, in evaluation mode, on the CPU.

    Args:
        name: one of `available()`.
        models_root: a folder that holds one folder of weights per encoder, named like it; downloads are kept in `hub`
            below it.
        folder: the folder with this encoder's weights; when given, nothing else is looked at.
        options: what the encoder lets one choose, such as `combine` or `fine_tune`; see its file in `entries`.

    Raises:
        UserError: unknown name or option; weights that are missing, damaged, or not the expected ones.
    """
    entry = entry_of(name)
    chosen = parse_options(entry, options or {})
    if entry.pretrained is None:
        return entry.build(chosen, None).eval()
    where = Where(name, models_root, folder)
    source = entry.pretrained.source
    try:
        path = source.find(where) or source.fetch(where)
    except MissingWeightsError as error:
        offline = ", ".join(ready(models_root))
        hint = f"{error.hint} Speech encoders that work on this machine as it is: {offline}."
        raise MissingWeightsError(error.problem, path=error.path, hint=hint) from error
    return entry.pretrained.load(chosen, path).eval()


def build(name: str, options: Mapping[str, Any] | None = None, weights_sha256: str | None = None) -> SpeechEncoder:
    """Makes a speech encoder with random weights, in evaluation mode, to be filled from a checkpoint or for tests.

    Args:
        name: one of `available()`.
        options: as for `create`; those of an encoder with a `config` take the sizes of the network there.
        weights_sha256: of the pretrained weights that the checkpoint's go back to.

    Raises:
        UserError: unknown name or option.
    """
    entry = entry_of(name)
    return entry.build(parse_options(entry, options or {}), weights_sha256).eval()


def entry_of(name: str) -> Entry:
    """The entry of a name.

    Raises:
        UserError: there is none.
    """
    entry = _entries().get(name)
    if entry is None:
        raise UserError(f"unknown speech encoder {name!r}", hint=f"Known: {', '.join(available())}.")
    return entry


def parse_options(entry: Entry, options: Mapping[str, Any]) -> Any:
    """The entry's options with the given values.

    Raises:
        UserError: a name that the encoder does not have, or a value of the wrong type.
    """
    known = [field.name for field in dataclasses.fields(entry.options)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(
            f"speech encoder {entry.name!r} has no option {', '.join(map(repr, unknown))}",
            hint=f"It has: {', '.join(known) or 'none'}.",
        )
    try:
        return pydantic.TypeAdapter(entry.options).validate_python(dict(options))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"]))
        raise UserError(f"speech encoder {entry.name!r}, option {option!r}: {first['msg']}") from error
