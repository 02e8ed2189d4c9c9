"""Exports a take that a page recorded: its frames as the browser showed them, as an animation with its sound."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audio2face.animation.animation import Animation
from audio2face.errors import UserError
from audio2face.inference.retiming import FrameBlock
from audio2face.live_page.face import PageFace
from audio2face.outputs import write_outputs
from audio2face.types import Float32Array

LARGEST_TAKE = 1 << 28  # bytes: ten minutes with their sound
_LONGEST_HEAD = 1 << 16
_BLOCK = 64  # frames
_SEND = "Reload the page, and record again."


def export_take(face: PageFace, message: bytes, key: str, folder: Path) -> Path:
    """Writes a take in a format.

    Args:
        face: the face that the page shows.
        message: as `web/take.js` makes it: the length of a JSON text as little-endian uint32, the text, float32 values
            `[frames, values]` and samples `[samples]`.
        key: of `export.FORMATS`, or "page".
        folder: existing folder for the archive and for temporary files.

    Returns:
        A ZIP archive of the files.

    Raises:
        UserError: the message is none of this face, or the format cannot be written.
    """
    head, rows, sound = _read(face, message)
    name = f"{face.pipeline.actor.name}_take"
    audio = folder / f"{name}.wav"
    soundfile.write(audio, np.clip(sound, -1, 1), head["rate"], subtype="PCM_16")
    animation: Animation = face.pipeline.collect(_blocks(face, rows), audio, folder)
    made = folder / "files"
    write_outputs(animation, made, name, [key])
    archive = folder / f"{name}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as pack:
        for file in sorted(made.rglob("*")):
            if file.is_file():
                pack.write(file, file.relative_to(made))
    return archive


def _sizes(face: PageFace) -> dict[str, int]:
    return {
        "skin": len(face.components),
        "tongue": len(face.tongue_components),
        "jaw": 16,
        "eyes": 4,
        "emotion": len(face.info.emotions),
    }


def _read(face: PageFace, message: bytes) -> tuple[dict[str, Any], Float32Array, Float32Array]:
    """Head, values `[frames, values]` and samples of a message."""
    length = int.from_bytes(message[:4], "little") if len(message) >= 4 else _LONGEST_HEAD + 1
    try:
        if length > _LONGEST_HEAD:
            raise ValueError("the head is too long")
        head = json.loads(message[4 : 4 + length])
        counts = [head["frames"], head["samples"], head["rate"]]
        if not all(type(count) is int and count > 0 for count in counts) or head["rate"] > 400_000:
            raise ValueError("a count is no whole number above 0")
        values = np.frombuffer(message, "<f4", offset=4 + length)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"the take cannot be read: {error}", hint=_SEND) from error
    sizes = _sizes(face)
    if head.get("sizes") != sizes or len(values) != head["frames"] * sum(sizes.values()) + head["samples"]:
        raise UserError("the take belongs to another face, or is not whole", hint=_SEND)
    if not np.isfinite(values).all():
        raise UserError("the take holds NaN or infinity", hint=_SEND)
    end = head["frames"] * sum(sizes.values())
    return head, values[:end].reshape(head["frames"], -1).astype(np.float32), values[end:].astype(np.float32)


def _blocks(face: PageFace, rows: Float32Array) -> Iterator[FrameBlock]:
    ends = np.cumsum(list(_sizes(face).values()))[:-1]
    is_posed = face.pipeline.face.shapes is not None
    for start in range(0, len(rows), _BLOCK):
        skin, tongue, jaw, eyes, emotion = np.split(rows[start : start + _BLOCK], ends, axis=1)
        yield FrameBlock(
            skin=face.skin(skin),
            tongue=face.tongue(tongue),
            jaw=jaw.reshape(-1, 4, 4),
            eyes=eyes,
            emotion=emotion,
            skin_weights=skin if is_posed else None,
        )
