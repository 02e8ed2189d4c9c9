"""Reads the weights of the encoder, which lie beside this module: a safetensors file of 16-bit floats.

Source of the format: https://github.com/huggingface/safetensors, "Format". Reading it takes no package.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from audio2face.errors import FileFormatError, reason_of
from audio2face.types import Float32Array

FILES = {"causal": "a2f_phonetic.safetensors", "bidirectional": "a2f_phonetic_bidirectional.safetensors"}
_TYPES = {"F16": "<f2", "F32": "<f4"}


def weights_path(direction: str = "causal") -> Path:
    """The file of the causal or the bidirectional encoder."""
    return Path(__file__).with_name(FILES[direction])


def read_weights(path: Path) -> dict[str, Float32Array]:
    """Reads all tensors as float32.

    Raises:
        FileFormatError: the file cannot be read, or is damaged.
    """
    try:
        content = path.read_bytes()
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length])
        tensors = {}
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = (8 + length + offset for offset in entry["data_offsets"])
                values = np.frombuffer(content[start:end], _TYPES[entry["dtype"]])
                tensors[name] = values.astype(np.float32).reshape(entry["shape"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise FileFormatError(
            f"cannot be read as the weights of a speech encoder: {reason_of(error)}",
            path=path,
            hint="Install the package again.",
        ) from error
    return tensors
