"""What is wrong with a deployed folder, gathered while it is read: file, problem, remedy.

The reader stops at errors, the lint prints everything. Knows no format.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audio2face.errors import FileFormatError, printable
from audio2face.placeholders import find_placeholder

Severity = Literal["error", "warning", "note"]
_LONGEST = 1_000  # characters of a finding: a hostile file may hold names of any length


@dataclass(frozen=True)
class Fault:
    """One finding.

    Attributes:
        severity: "error": readers refuse the file or read nonsense; "warning": legal but hardly meant; "note": to know.
        file: the file, relative to the folder.
        problem: what was found and what was expected.
        remedy: what to do about it.
    """

    severity: Severity
    file: str
    problem: str
    remedy: str


@dataclass
class Faults:
    """Collects findings.

    Attributes:
        found: all of them, in the order in which they were met.
    """

    found: list[Fault] = field(default_factory=list)

    def of(self, file: str) -> FileFaults:
        """The same collector, for one file."""
        return FileFaults(file, self.found)

    @property
    def errors(self) -> list[Fault]:
        """The errors alone."""
        return [fault for fault in self.found if fault.severity == "error"]

    def raise_first(self, folder: Path) -> None:
        """Raises the first error, if there is one, as FileFormatError."""
        if self.errors:
            first, more = self.errors[0], len(self.errors) - 1
            others = (
                f"\n  There are {more} more: python run_deploy.py --check {shlex.quote(str(folder))}" if more else ""
            )
            raise FileFormatError(first.problem, path=folder / first.file, hint=first.remedy + others)


@dataclass(frozen=True)
class FileFaults:
    """Collects findings about one file.

    Attributes:
        file: the file, relative to the folder.
        found: where findings go.
    """

    file: str
    found: list[Fault]

    @property
    def is_sound(self) -> bool:
        """Whether no error of the file has been noted."""
        return all(fault.file != self.file or fault.severity != "error" for fault in self.found)

    def error(self, problem: str, remedy: str) -> None:
        """Readers refuse this, or read nonsense."""
        self._add("error", problem, remedy)

    def missing(self, path: Path, remedy: str) -> None:
        """The file is not at `path`."""
        self.unreadable(path, "is missing", remedy)

    def unreadable(self, path: Path, problem: str, remedy: str) -> None:
        """The file cannot be read; a placeholder at `path` is named instead of what its bytes look like."""
        found = find_placeholder(path)
        self.error(found.problem if found else problem, found.hint if found else remedy)

    def warning(self, problem: str, remedy: str) -> None:
        """This is legal, but hardly meant."""
        self._add("warning", problem, remedy)

    def note(self, problem: str, remedy: str) -> None:
        """This is good to know."""
        self._add("note", problem, remedy)

    def _add(self, severity: Severity, problem: str, remedy: str) -> None:
        self.found.append(Fault(severity, self.file, printable(problem, _LONGEST), printable(remedy, _LONGEST)))
