"""`checksums.sha256` of a published model folder: the SHA-256 of every other file, as `sha256sum --check` reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from audio2face.errors import FileFormatError, UserError
from audio2face.io.atomic import write_text
from audio2face.io.digests import file_sha256

CHECKSUM_FILE = "checksums.sha256"
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<name>[^\r\n]+)")
_MOST_FILES = 10_000


def write_checksums(folder: Path, names: Iterable[str]) -> None:
    """Writes the checksums of files of a folder, replacing earlier ones."""
    lines = [f"{file_sha256(folder / name)}  {name}\n" for name in sorted(names)]
    write_text(folder / CHECKSUM_FILE, "".join(lines))


def read_checksums(path: Path) -> dict[str, str]:
    """The digest of each file by its path, which lies below the folder.

    Raises:
        FileFormatError: a line has another form, or names a file outside the folder, or one twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"cannot be read: {error}", path=path) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or not is_plain_path(match["name"]) or match["name"] in found:
            raise FileFormatError(f"line {number} is no checksum of a file in this folder: {line[:200]!r}", path=path)
        found[match["name"]] = match["digest"]
    if not 0 < len(found) <= _MOST_FILES:
        raise FileFormatError(f"names {len(found)} files, expected 1 to {_MOST_FILES}", path=path)
    return found


def is_plain_path(name: str) -> bool:
    """Whether a name is a relative path below its folder, with `/` between its parts and none of them hidden."""
    parts = PurePosixPath(name).parts
    return (
        bool(parts)
        and name == "/".join(parts)
        and name.isprintable()
        and "\\" not in name
        and ":" not in name
        and not any(part.startswith(".") for part in parts)
    )


def check_files(folder: Path, expected: Mapping[str, str]) -> None:
    """Compares files with their checksums.

    Raises:
        UserError: one differs.
    """
    for name, digest in expected.items():
        if file_sha256(folder / name) != digest:
            raise UserError(
                f"{name} has another SHA-256 than {CHECKSUM_FILE} states",
                hint="It was damaged, or changed after it was published: pull it again, or ask its publisher.",
            )
