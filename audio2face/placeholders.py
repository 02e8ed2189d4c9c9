"""Detects placeholder files: pointers of Git LFS and git-annex, stubs of cloud storage, web pages saved by mistake.

Checks the first bytes of an unreadable file, or the neighbours of a missing one, and suggests the command that fetches
the real file. Standard library only.

"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LOOKED_AT = 512  # bytes
_LFS = re.compile(rb"version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/")
_ANNEX_KEY = re.compile(rb"\s*(?:/annex/objects/|(?:\.\./)*\.git/annex/objects/)")
_WEB_PAGE = re.compile(rb"(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_SERVER_ERROR = re.compile(rb"(?:<\?xml[^>]*>\s*)?<Error>", re.IGNORECASE)
_SERVER_MESSAGE = re.compile(rb'\{\s*"(?:message|error|detail|errors)"\s*:', re.IGNORECASE)


@dataclass(frozen=True)
class Placeholder:
    """A placeholder that was found instead of a file.

    Attributes:
        problem: kind of placeholder.
        hint: how to get the real file.
    """

    problem: str
    hint: str


def find_placeholder(path: Path) -> Placeholder | None:
    """Finds the placeholder of a file at its path, or beside it where the file is missing; None where there is none.

    Args:
        path: the file that is missing or could not be read.
    """
    with suppress(OSError, ValueError):  # a name too long, a folder that may not be entered, a NUL in the name
        if path.is_file():
            return _by_contents(path)
        return _by_neighbours(path)
    return None


def _by_contents(path: Path) -> Placeholder | None:
    with path.open("rb") as handle:
        head = handle.read(_LOOKED_AT)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _LFS.match(text):
        return Placeholder(
            "is a pointer of Git LFS, not the file itself",
            f"Type `git lfs install` and `git lfs pull` in the folder {path.parent}.",
        )
    if _ANNEX_KEY.match(text):
        return Placeholder("is a pointer of git-annex, not the file itself", _annex_hint(path))
    if _WEB_PAGE.match(text):
        return Placeholder(
            "is a web page that was saved under this name, not the file itself",
            "Open it in a browser to see the server's answer (often a login), and download the file once more.",
        )
    if _SERVER_ERROR.match(text) or (path.suffix != ".json" and _SERVER_MESSAGE.match(text)):
        return Placeholder(
            "is the error message of a server that was saved under this name, not the file itself",
            "Open it in a text editor to see the server's answer, and download the file once more.",
        )
    if not head.strip(b"\0"):
        what = "the file is empty" if not head else "the file starts with zero bytes only"
        return Placeholder(
            f"{what}: a copy that was not finished, or a placeholder of OneDrive, Dropbox or Google Drive",
            'Choose "Always keep on this device" ("Available offline") for its folder and wait, or copy it once more.',
        )
    return None


def _by_neighbours(path: Path) -> Placeholder | None:
    if path.is_symlink() and "annex/objects" in str(path.readlink()):
        return Placeholder("is a link into a git-annex whose contents are not here", _annex_hint(path))
    if path.with_name(f".{path.name}.icloud").exists():
        return Placeholder(
            "is in iCloud and not on this machine",
            f"Type `brctl download '{path}'` (or choose Download Now in the Finder), and wait until it is there.",
        )
    if path.with_name(f"{path.name}.dvc").is_file():
        return Placeholder("is tracked by DVC and not here", f"Type `dvc pull '{path}.dvc'`.")
    return None


def _annex_hint(path: Path) -> str:
    return f"Type `git annex get {path.name}` (or `datalad get {path.name}`) in the folder {path.parent}."
