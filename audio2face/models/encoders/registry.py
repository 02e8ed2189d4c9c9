"""What a file in `entries` offers the registry."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from audio2face.errors import UserError
from audio2face.models.encoders import entries
from audio2face.models.encoders.base import SpeechEncoder
from audio2face.models.encoders.weights import MissingWeightsError, WeightsLocation, WeightsSource


@dataclass(frozen=True)
class Pretrained:
    """How an encoder comes by pretrained weights.

    Attributes:
        source: where they are looked for.
        load: makes the encoder from its options and the file or folder that the source found.
    """

    source: WeightsSource
    load: Callable[[Any, Path], SpeechEncoder]


@dataclass(frozen=True)
class EncoderSpec:
    """One speech encoder of the registry.

    Attributes:
        name: its name in configurations.
        options: a frozen dataclass with a default for every field: what may be chosen about the encoder.
        build: makes the encoder with random weights from its options and the SHA-256 of the weights that it will
            receive (None when it keeps the random ones).
        pretrained: None for an encoder that is trained from scratch.
    """

    name: str
    options: type
    build: Callable[[Any, str | None], SpeechEncoder]
    pretrained: Pretrained | None


@functools.cache
def _entries() -> dict[str, EncoderSpec]:
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
        if entry.pretrained is None or entry.pretrained.source.find(WeightsLocation(name, models_root)) is not None
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
    entry = get_encoder_spec(name)
    chosen = parse_options(entry, options or {})
    if entry.pretrained is None:
        return entry.build(chosen, None).eval()
    where = WeightsLocation(name, models_root, folder)
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
    entry = get_encoder_spec(name)
    return entry.build(parse_options(entry, options or {}), weights_sha256).eval()


def get_encoder_spec(name: str) -> EncoderSpec:
    """The entry of a name.

    Raises:
        UserError: there is none.
    """
    entry = _entries().get(name)
    if entry is None:
        raise UserError(f"unknown speech encoder {name!r}", hint=f"Known: {', '.join(available())}.")
    return entry


def parse_options(entry: EncoderSpec, options: Mapping[str, Any]) -> Any:
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


# What must be equal for weights trained on one encoder to mean anything on another, beside its name.
_BINDING = (
    "weights_sha256",
    "width",
    "layers",
    "sample_rate",
    "step_samples",
    "first_sample",
    "window_samples",
    "alignment",
    "options",
)


def encoder_record(encoder: SpeechEncoder) -> dict[str, Any]:
    """Everything that identifies an encoder, as JSON values: the fields of its `info`, and its options."""
    fields = dataclasses.asdict(encoder.info) | {"options": encoder.options}
    values: dict[str, Any] = json.loads(json.dumps(fields))
    return values


def rebuild_encoder(recorded: Mapping[str, Any], path: Path | None = None) -> SpeechEncoder:
    """Makes the recorded encoder with random weights, to be filled from the checkpoint; needs no pretrained weights.

    Args:
        recorded: what `record` returned.
        path: the file it was read from, for messages.

    Raises:
        UserError: the record is damaged, or names an encoder or options that are unknown here.
    """
    name, options, sha256 = (recorded.get(key) for key in ("name", "options", "weights_sha256"))
    if not isinstance(name, str) or not isinstance(options, dict) or not isinstance(sha256, str | None):
        raise UserError("the record of the speech encoder is damaged: name, options or weights_sha256", path=path)
    encoder = build(name, options, sha256)
    check_record(encoder, recorded, path)
    return encoder


def check_record(encoder: SpeechEncoder, recorded: Mapping[str, Any], path: Path | None = None) -> None:
    """Refuses an encoder that is not the recorded one.

    Args:
        encoder: the encoder at hand.
        recorded: what `record` returned when the checkpoint was written.
        path: the file it was read from, for messages.

    Raises:
        UserError: they differ in name, weights, options, width or timing.
    """
    present = encoder_record(encoder)
    if recorded.get("name") != present["name"]:
        raise UserError(
            f"was trained with the speech encoder {recorded.get('name')!r}, but {present['name']!r} is chosen",
            path=path,
            hint="Weights of one speech encoder mean nothing to another: choose the same one, or train anew.",
        )
    recorded = {**recorded, "options": _complete(recorded)}
    differing = [key for key in _BINDING if recorded.get(key) != present[key]]
    if differing:
        key = differing[0]
        raise UserError(
            f"was trained with another form of the speech encoder {present['name']!r}: {', '.join(differing)} differ "
            f"({key} was {recorded.get(key)!r}, is {present[key]!r})",
            path=path,
            hint="Use the same weights and options as when it was trained, or train anew.",
        )


def _complete(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded options, and the defaults of those that there were not yet when they were recorded."""
    defaults = dataclasses.asdict(get_encoder_spec(recorded["name"]).options())
    complete: dict[str, Any] = json.loads(json.dumps(defaults)) | dict(recorded.get("options") or {})
    return complete
