"""The registry of speech encoders, by name, and their records in checkpoints.

A new encoder is one new file in `entries` that defines `ENTRIES`, a tuple of `EncoderSpec`; all files there are
imported. A checkpoint records its encoder (`encoder_record`); `rebuild_encoder` makes it from the record, and
`check_encoder_record` rejects a mismatch.
"""

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
    """The pretrained weights of an encoder.

    Attributes:
        source: finds or downloads them.
        load: makes the encoder from its options and the file or folder that the source found.
    """

    source: WeightsSource
    load: Callable[[Any, Path], SpeechEncoder]


@dataclass(frozen=True)
class EncoderSpec:
    """One speech encoder of the registry.

    Attributes:
        name: its name in configurations.
        options: a frozen dataclass with a default for every field.
        build: makes the encoder, randomly initialised, from its options and the SHA-256 of the pretrained weights that
            will be loaded into it (None: none will).
        pretrained: None for an encoder that is trained from scratch.
    """

    name: str
    options: type
    build: Callable[[Any, str | None], SpeechEncoder]
    pretrained: Pretrained | None


@functools.cache
def _specs() -> dict[str, EncoderSpec]:
    names = sorted(module.name for module in pkgutil.iter_modules(entries.__path__))
    modules = [importlib.import_module(f"{entries.__name__}.{name}") for name in names]
    return {spec.name: spec for module in modules for spec in module.ENTRIES}


def available() -> tuple[str, ...]:
    """Lists the names of all speech encoders."""
    return tuple(_specs())


def ready(models_root: Path | None = None) -> tuple[str, ...]:
    """Lists the names of the encoders whose weights are on this machine.

    Args:
        models_root: a folder that holds one folder of weights per encoder, named like it.
    """
    return tuple(
        name
        for name, spec in _specs().items()
        if spec.pretrained is None or spec.pretrained.source.find(WeightsLocation(name, models_root)) is not None
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
        models_root: a folder that holds one folder of weights per encoder, named like it; downloads are stored in its
            subfolder `hub`.
        folder: the folder with this encoder's weights; overrides all other locations.
        options: the encoder's options, such as `combine` or `fine_tune`, as declared in its file in `entries`.

    Raises:
        UserError: unknown name or option; weights that are missing, damaged or unexpected.
    """
    spec = get_encoder_spec(name)
    chosen = parse_options(spec, options or {})
    if spec.pretrained is None:
        return spec.build(chosen, None).eval()
    location = WeightsLocation(name, models_root, folder)
    source = spec.pretrained.source
    try:
        path = source.find(location) or source.fetch(location)
    except MissingWeightsError as error:
        offline = ", ".join(ready(models_root))
        hint = f"{error.hint} Speech encoders that work on this machine as it is: {offline}."
        raise MissingWeightsError(error.problem, path=error.path, hint=hint) from error
    return spec.pretrained.load(chosen, path).eval()


def build(name: str, options: Mapping[str, Any] | None = None, weights_sha256: str | None = None) -> SpeechEncoder:
    """Makes a randomly initialised speech encoder, in evaluation mode, for loading a checkpoint or for tests.

    Args:
        name: one of `available()`.
        options: as for `create`; the option `config`, where there is one, holds the sizes of the network.
        weights_sha256: of the pretrained weights that the checkpoint was trained from.

    Raises:
        UserError: unknown name or option.
    """
    spec = get_encoder_spec(name)
    return spec.build(parse_options(spec, options or {}), weights_sha256).eval()


def get_encoder_spec(name: str) -> EncoderSpec:
    """Looks up an encoder by name.

    Raises:
        UserError: the name is unknown.
    """
    spec = _specs().get(name)
    if spec is None:
        raise UserError(f"unknown speech encoder {name!r}", hint=f"Known: {', '.join(available())}.")
    return spec


def parse_options(spec: EncoderSpec, options: Mapping[str, Any]) -> Any:
    """Validates option values and fills in the encoder's defaults.

    Raises:
        UserError: an unknown option, or a value of the wrong type.
    """
    known = [field.name for field in dataclasses.fields(spec.options)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(
            f"speech encoder {spec.name!r} has no option {', '.join(map(repr, unknown))}",
            hint=f"It has: {', '.join(known) or 'none'}.",
        )
    try:
        return pydantic.TypeAdapter(spec.options).validate_python(dict(options))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"]))
        raise UserError(f"speech encoder {spec.name!r}, option {option!r}: {first['msg']}") from error


# Fields of a record that must be equal, besides the name, for trained weights to fit an encoder.
_COMPATIBILITY_KEYS = (
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
    """Describes an encoder as JSON values: the fields of its `info`, and its options."""
    fields = dataclasses.asdict(encoder.info) | {"options": encoder.options}
    values: dict[str, Any] = json.loads(json.dumps(fields))
    return values


def rebuild_encoder(recorded: Mapping[str, Any], path: Path | None = None) -> SpeechEncoder:
    """Makes a recorded encoder, randomly initialised, for loading a checkpoint; needs no pretrained weights.

    Args:
        recorded: output of `encoder_record`.
        path: the file it was read from, for messages.

    Raises:
        UserError: the record is damaged, or its encoder or options are unknown.
    """
    name, options, sha256 = (recorded.get(key) for key in ("name", "options", "weights_sha256"))
    if not isinstance(name, str) or not isinstance(options, dict) or not isinstance(sha256, str | None):
        raise UserError("the record of the speech encoder is damaged: name, options or weights_sha256", path=path)
    encoder = build(name, options, sha256)
    check_encoder_record(encoder, recorded, path)
    return encoder


def check_encoder_record(encoder: SpeechEncoder, recorded: Mapping[str, Any], path: Path | None = None) -> None:
    """Checks that an encoder equals the recorded one.

    Args:
        encoder: the encoder to use.
        recorded: output of `encoder_record` when the checkpoint was written.
        path: the file it was read from, for messages.

    Raises:
        UserError: they differ in name, weights, options, width or timing.
    """
    present = encoder_record(encoder)
    if recorded.get("name") != present["name"]:
        raise UserError(
            f"was trained with the speech encoder {recorded.get('name')!r}, but {present['name']!r} is chosen",
            path=path,
            hint="Weights of one speech encoder mean nothing to another: choose the same one, or train again.",
        )
    recorded = {**recorded, "options": _with_defaults(recorded)}
    differing = [key for key in _COMPATIBILITY_KEYS if recorded.get(key) != present[key]]
    if differing:
        key = differing[0]
        raise UserError(
            f"was trained with another form of the speech encoder {present['name']!r}: {', '.join(differing)} differ "
            f"({key} was {recorded.get(key)!r}, is {present[key]!r})",
            path=path,
            hint="Use the same weights and options as when it was trained, or train again.",
        )


def _with_defaults(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Completes the recorded options with the defaults of newer options."""
    defaults = dataclasses.asdict(get_encoder_spec(recorded["name"]).options())
    complete: dict[str, Any] = json.loads(json.dumps(defaults)) | dict(recorded.get("options") or {})
    return complete
