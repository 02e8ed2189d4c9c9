"""The record of complete results, by which a later call of several stages reuses them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audio2face.io.atomic import write_json


class KeptResults:
    """The record of complete results. Results of other inputs or of another version of the code are not reused.

    Args:
        path: the file of the record; its folder may be missing.
        inputs: all inputs of the results beside the code, as JSON values.
    """

    def __init__(self, path: Path, inputs: Mapping[str, Any]) -> None:
        self._path = path
        text = json.dumps({**inputs, "code": _code_digest()}, sort_keys=True, default=dict)
        self._inputs = hashlib.sha256(text.encode()).hexdigest()
        self._files = self._read()

    def is_whole(self, name: str, folder: Path) -> bool:
        """Whether a result of that name has these inputs, and its folder contains every file in its size."""
        return name in self._files and self._files[name] == file_sizes(folder)

    def add(self, name: str, folder: Path) -> None:
        """Records a new result."""
        self._files[name] = file_sizes(folder)
        write_json(self._path, {"inputs": self._inputs, "files": self._files})

    def _read(self) -> dict[str, dict[str, int]]:
        try:
            record = json.loads(self._path.read_text(encoding="utf-8"))
            return dict(record["files"]) if record["inputs"] == self._inputs else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def file_sizes(folder: Path) -> dict[str, int]:
    """The size in bytes of every file of a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _code_digest() -> str:
    """SHA-256 of the framework's code."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
