"""Recordings on the command line: files, folders, globs and lists, each with its subfolder of the output."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from audio2face.config_base.types import RECORDING_SUFFIXES
from audio2face.console import LOGGER
from audio2face.errors import UserError, missing_file
from audio2face.outputs import RECORD_FILE

LIST_MARK = "@"  # in front of the file of a list
_GLOB_CHARACTERS = "*?["
_NOTHING = "contains no recordings"
_Parts = tuple[str, ...]


@dataclass(frozen=True)
class Recording:
    """One recording to animate.

    Attributes:
        path: the file.
        subfolder: relative folder of its animation in the output folder: that of the file in the folder or glob that
            was given.
    """

    path: Path
    subfolder: Path = Path()


def is_single_file(words: Sequence[str], datasets: Path) -> bool:
    """Whether the arguments name one file, whose error ends the command at once."""
    return len(words) == 1 and not words[0].startswith(LIST_MARK) and find_file(words[0], datasets).is_file()


def find_file(word: str, datasets: Path) -> Path:
    """The path of an argument; a relative one that does not exist may exist in the folder of datasets."""
    path = Path(word)
    return datasets / path if not path.exists() and (datasets / path).exists() else path


def collect(words: Sequence[str], datasets: Path, output: Path | None = None) -> list[Recording]:
    """Finds the recordings of arguments, each file once, in the order of the arguments.

    Folders are searched at any depth for files with the suffix of a recording, sorted by name; hidden files, animations
    of this program and links back to a folder that was visited are skipped. A file without such a suffix is taken where
    it is named itself.

    Args:
        words: files, folders, globs such as `takes/**/*_final.wav` (`**` for any folders), and lists `@FILE` with one
            of the former on each line, where empty lines and lines that start with `#` are skipped. Relative paths
            also start from the folder of datasets, those of a list also from the list's folder.
        datasets: the folder of datasets.
        output: the output folder, which is not searched where it lies in a folder of recordings.

    Raises:
        UserError: an argument names nothing. A missing file of a list is no error here; reading it is one.
    """
    found: dict[str, Recording] = {}
    for word in words:
        for recording in _collect_word(word, datasets, output):
            found.setdefault(os.path.realpath(recording.path), recording)
    return list(found.values())


def search(folder: Path, output: Path | None = None) -> list[Recording]:
    """All recordings in a folder, at any depth, sorted by their relative path; see `collect`."""
    found = _walk(folder, (), _Visited(output), lambda _: True)
    return [Recording(folder.joinpath(*parts), Path(*parts[:-1])) for parts in sorted(found)]


def _collect_word(word: str, datasets: Path, output: Path | None) -> list[Recording]:
    path = find_file(word, datasets)
    if word.startswith(LIST_MARK) and not path.exists():
        return _read_list(Path(word[len(LIST_MARK) :]), datasets, output)
    if path.is_dir():
        found = search(path, output)
        if not found:
            raise UserError(_NOTHING, path=path, hint=f"Recordings end in {' '.join(RECORDING_SUFFIXES)}.")
        return found
    if not path.exists() and any(character in word for character in _GLOB_CHARACTERS):
        return _expand(word, datasets, output)
    if not path.is_file():
        raise missing_file("there is no such audio file", path, "Check the folder and the file's name.")
    return [Recording(path)]


def _read_list(file: Path, datasets: Path, output: Path | None) -> list[Recording]:
    """The recordings of a list; a path that names nothing stays, so that the others are animated."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        hint = "@FILE names a text file with one recording on each line; for a file whose name starts with @: ./@..."
        raise UserError(f"the list cannot be read: {error.strerror}", path=file, hint=hint) from error
    except UnicodeDecodeError as error:
        raise UserError(f"is not a list of paths in UTF-8: {error.reason}", path=file) from error
    words = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not words:
        raise UserError("the list is empty", path=file, hint="Write one recording on each line.")
    found: list[Recording] = []
    for word in words:
        nearby = file.parent / word
        chosen = str(nearby) if not find_file(word, datasets).exists() and nearby.exists() else word
        if word.startswith(LIST_MARK) and not Path(chosen).exists():
            raise UserError(f"the list names another list, {word!a}", path=file, hint="Give both lists to --audio.")
        try:
            found += _collect_word(chosen, datasets, output)
        except UserError:
            found.append(Recording(Path(chosen)))
    return found


# --- Globs -----------------------------------------------------------------------------------------------------------


def _expand(pattern: str, datasets: Path, output: Path | None) -> list[Recording]:
    """The recordings that a pattern matches, and those in folders that it matches."""
    parts = Path(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if any(mark in part for mark in _GLOB_CHARACTERS))
    root, rest = find_file(str(Path(*parts[:fixed])), datasets), parts[fixed:]
    found = _walk(root, (), _Visited(output), lambda folder: _may_lead_to(folder, rest))
    names = sorted(parts for parts in found if _matches(parts, rest))
    if not names:
        raise UserError(
            f"no recording matches {pattern!a}", hint="Put the pattern between quotes, such as 'takes/**/*.wav'."
        )
    return [Recording(root.joinpath(*name), Path(*name[:-1])) for name in names]


def _matches(parts: _Parts, pattern: _Parts) -> bool:
    """Whether a pattern matches a relative path, or a folder on it."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (len(parts) > 1 and _matches(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _may_lead_to(folder: _Parts, pattern: _Parts) -> bool:
    """Whether a pattern may match files in a relative folder."""
    for part, expected in zip(folder, pattern, strict=False):
        if expected == "**":
            return True
        if not fnmatchcase(part, expected):
            return False
    return True


# --- Folders ---------------------------------------------------------------------------------------------------------


class _Visited:
    """The folders that are not searched (again).

    Args:
        output: the output folder of the command.
    """

    def __init__(self, output: Path | None) -> None:
        self._seen = {identity for identity in (_identity(output),) if identity is not None}

    def enters(self, folder: Path, *, is_given: bool) -> bool:
        """Whether a folder is to be searched now: links may lead to one twice, or round in circles."""
        identity = _identity(folder)
        if identity is None or (not is_given and (identity in self._seen or (folder / RECORD_FILE).is_file())):
            return False
        self._seen.add(identity)
        return True


def _identity(folder: Path | None) -> tuple[int, int] | None:
    try:
        status = None if folder is None else folder.stat()
    except OSError:
        return None
    return None if status is None else (status.st_dev, status.st_ino)


def _walk(root: Path, parts: _Parts, visited: _Visited, enter: Callable[[_Parts], bool]) -> Iterator[_Parts]:
    """Yields the relative paths, as parts, of the recordings below a folder.

    Args:
        root: the folder.
        parts: relative path of the folder to search now.
        visited: skips folders.
        enter: whether a folder, given by its parts, is worth searching.
    """
    folder = root.joinpath(*parts)
    if not visited.enters(folder, is_given=not parts):
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        LOGGER.warning("%s cannot be searched: %s", folder, error.strerror)
        return
    for entry in entries:
        name = (*parts, entry.name)
        if entry.name.startswith("."):
            continue
        if Path(entry.path).is_dir():  # also through a link; False for one that leads nowhere
            if enter(name):
                yield from _walk(root, name, visited, enter)
        elif Path(entry.name).suffix.lower() in RECORDING_SUFFIXES:
            yield name
