"""Checksums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from audio2face.errors import UserError

_BLOCK = 1 << 20


def file_sha256(path: Path) -> str:
    """Computes the SHA-256 of a file, in hexadecimal.

    Raises:
        UserError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while block := handle.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path=path) from error
    return digest.hexdigest()
