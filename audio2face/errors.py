"""The one error type for what a user can mend: a wrong file, parameter or argument.

Anything else that escapes is a defect of ours and shows its traceback.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audio2face.placeholders import find_placeholder


class UserError(Exception):
    """Something the user gave is wrong; the message says what, where and what to do.

    Args:
        problem: what is wrong, with the values found and expected.
        path: the file or folder it is about.
        hint: what to do about it.
    """

    def __init__(self, problem: str, *, path: Path | str | None = None, hint: str | None = None) -> None:
        self.problem = problem
        self.path = Path(path) if path is not None else None
        self.hint = hint
        where = f"{self.path}: " if self.path is not None else ""
        then = f"\n  {hint}" if hint else ""
        super().__init__(f"{where}{problem}{then}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the finished error, so that one raised in a worker process arrives as it is."""
        return _restored, (type(self), str(self), self.__dict__)


def _restored(kind: type[UserError], message: str, state: dict[str, Any]) -> UserError:
    error = kind.__new__(kind, message)
    error.__dict__.update(state)
    return error


def missing_file(problem: str, path: Path, hint: str) -> UserError:
    """The error for a file that is not there; it says where the file is instead, where something tells."""
    found = find_placeholder(path)
    return UserError(found.problem, path=path, hint=found.hint) if found else UserError(problem, path=path, hint=hint)


def reason_of(error: Exception) -> str:
    """What a library said of a file that it could not read, on one line and without advice to load Python objects."""
    said = str(error).strip() or type(error).__name__
    if "pickle" in said.lower() or "weights_only" in said:
        return "it holds Python objects, which are never loaded"
    return said.splitlines()[0]


class FileFormatError(UserError):
    """A file does not hold what its format promises.

    Where the file turns out to be a placeholder (a pointer of Git LFS, say), problem and hint tell of that instead.

    Args:
        problem: what is wrong.
        path: the file.
        offset: position in bytes at which reading failed, where that is known.
        hint: what to do about it.
    """

    def __init__(self, problem: str, *, path: Path | str, offset: int | None = None, hint: str | None = None) -> None:
        self.offset = offset
        at = f" (at byte {offset})" if offset is not None else ""
        found = find_placeholder(Path(path))
        if found is not None:
            problem, hint, at = found.problem, found.hint, ""
        super().__init__(f"{problem}{at}", path=path, hint=hint)
