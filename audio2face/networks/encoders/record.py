"""What a checkpoint says about its speech encoder, so that it is never used with another one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audio2face.errors import UserError
from audio2face.networks.encoders.encoder import SpeechEncoder
from audio2face.networks.encoders.registry import build, entry_of

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


def record(encoder: SpeechEncoder) -> dict[str, Any]:
    """Everything that identifies an encoder, as JSON values: the fields of its `info`, and its options."""
    fields = dataclasses.asdict(encoder.info) | {"options": encoder.options}
    values: dict[str, Any] = json.loads(json.dumps(fields))
    return values


def rebuild(recorded: Mapping[str, Any], path: Path | None = None) -> SpeechEncoder:
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
    present = record(encoder)
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
    defaults = dataclasses.asdict(entry_of(recorded["name"]).options())
    complete: dict[str, Any] = json.loads(json.dumps(defaults)) | dict(recorded.get("options") or {})
    return complete
