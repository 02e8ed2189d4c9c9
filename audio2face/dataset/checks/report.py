"""The findings of a dataset check, their output as a table in the terminal or as JSON, and words for units and axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from audio2face.errors import UserError, printable
from audio2face.types import FloatArray, Int64Array

Value = TypeVar("Value")
SCHEMA = 1
_AT_MOST_LISTED = 5
_CAUSES = ("units", "axes", "vertex-order", "moved")  # the causes of many other findings


class Severity(StrEnum):
    """Severity of a finding: an error spoils training, a warning reduces quality or is repaired by a later stage."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        severity: error or warning.
        code: short fixed name of the kind of fault, such as "audio-short".
        message: description, with the values found and expected.
        remedy: the fix.
        file: the file or folder concerned.
        shot: the shot concerned.
        frame: first or worst frame, counted from 0.
        vertex: first vertex (or point) concerned.
    """

    severity: Severity
    code: str
    message: str
    remedy: str
    file: Path | None = None
    shot: str | None = None
    frame: int | None = None
    vertex: int | None = None


@dataclass(frozen=True)
class Summary:
    """Summary of a dataset.

    Attributes:
        num_shots: number of shots with a cache.
        num_frames: frames of skin animation that could be opened.
        fps: frames per second.
        num_verts_skin: vertices of the skin; None if no cache could be opened.
        num_verts_tongue: vertices of the tongue; None without one.
        minutes_per_emotion: minutes of animation, by emotion.
        shots_per_emotion: number of shots, by emotion.
        shots_per_samplerate: number of recordings, by samples per second.
    """

    num_shots: int
    num_frames: int
    fps: float
    num_verts_skin: int | None
    num_verts_tongue: int | None
    minutes_per_emotion: Mapping[str, float]
    shots_per_emotion: Mapping[str, int]
    shots_per_samplerate: Mapping[int, int]


@dataclass(frozen=True)
class CheckReport:
    """All findings for the dataset of one actor.

    Attributes:
        actor: name of the actor.
        findings: all findings, errors first, otherwise in the order of shots.
        summary: summary of the dataset.
    """

    actor: str
    findings: tuple[Finding, ...]
    summary: Summary

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that would spoil training."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that reduce quality, or that a later stage repairs."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.WARNING)

    def as_json(self) -> dict[str, Any]:
        """Returns the report in plain values."""
        findings = [
            {key: str(value) if isinstance(value, Path | Severity) else value for key, value in asdict(finding).items()}
            for finding in self.findings
        ]
        return {
            "actor": self.actor,
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "findings": findings,
            "summary": asdict(self.summary),
        }


@dataclass
class Findings:
    """Collects findings while checks run.

    Attributes:
        items: the findings so far.
    """

    items: list[Finding] = field(default_factory=list)

    def error(self, code: str, message: str, remedy: str, **place: Any) -> None:
        """Adds an error; `place` are the remaining attributes of `Finding`."""
        self.items.append(Finding(Severity.ERROR, code, message, remedy, **place))

    def warning(self, code: str, message: str, remedy: str, **place: Any) -> None:
        """Adds a warning; `place` are the remaining attributes of `Finding`."""
        self.items.append(Finding(Severity.WARNING, code, message, remedy, **place))

    def attempt(self, read: Callable[[], Value], code: str, file: Path, shot: str | None = None) -> Value | None:
        """Runs a reader; a user error becomes an error in the report, and the result is None."""
        try:
            return read()
        except UserError as error:
            remedy = error.hint or "Export the file once more."
            self.error(code, error.problem, remedy, file=error.path or file, shot=shot)
            return None

    def sorted(self) -> tuple[Finding, ...]:
        """Returns all findings: errors first, then by shot; causes of other findings first."""

        def order(finding: Finding) -> tuple[bool, str, bool]:
            return finding.severity != Severity.ERROR, finding.shot or "", finding.code not in _CAUSES

        return tuple(sorted(self.items, key=order))


def first_few(names: Iterable[str]) -> str:
    """Formats the first names of a possibly long list, safe to print."""
    shown = [f"{name!a}" for name in names]
    more = f" and {len(shown) - _AT_MOST_LISTED} more" if len(shown) > _AT_MOST_LISTED else ""
    return ", ".join(shown[:_AT_MOST_LISTED]) + more


def as_json(reports: Iterable[CheckReport]) -> dict[str, Any]:
    """Returns the reports of several actors in plain values, with a version of this layout."""
    return {"schema": SCHEMA, "actors": [report.as_json() for report in reports]}


def show(reports: Iterable[CheckReport], console: Console) -> None:
    """Prints tables of errors and warnings with their fixes, and a summary of each dataset."""
    for report in reports:
        for title, style, findings in (
            ("errors: these would spoil training", "red", report.errors),
            ("warnings", "yellow", report.warnings),
        ):
            if findings:
                console.print(_findings_table(f"{report.actor}: {len(findings)} {title}", style, findings))
        console.print(_summary_table(report))


def _findings_table(title: str, style: str, findings: Iterable[Finding]) -> Table:
    table = Table(title=title, title_style=f"bold {style}", title_justify="left", show_lines=True, expand=False)
    table.add_column("fault", style=style, no_wrap=True)
    table.add_column("where", overflow="fold", ratio=2)
    table.add_column("what is wrong, and what to do", overflow="fold", ratio=5)
    for finding in findings:
        what = f"{escape(printable(finding.message))}\n[dim]{escape(printable(finding.remedy))}[/dim]"
        table.add_row(finding.code, escape(printable(_where(finding))), what)
    return table


def _where(finding: Finding) -> str:
    parts = [] if finding.shot is None else [f"shot {finding.shot}"]
    parts += [] if finding.frame is None else [f"frame {finding.frame}"]
    parts += [] if finding.vertex is None else [f"vertex {finding.vertex}"]
    file = "" if finding.file is None else str(finding.file)
    return "\n".join(part for part in (", ".join(parts), file) if part)


def _summary_table(report: CheckReport) -> Table:
    summary = report.summary
    table = Table(title=f"{report.actor}: what the dataset holds", title_justify="left", show_header=False)
    table.add_row("shots", str(summary.num_shots))
    minutes = sum(summary.minutes_per_emotion.values())
    table.add_row("frames", f"{summary.num_frames} ({minutes:.1f} minutes at {summary.fps:g} fps)")
    table.add_row("skin vertices", "none readable" if summary.num_verts_skin is None else str(summary.num_verts_skin))
    table.add_row("tongue vertices", "no tongue" if summary.num_verts_tongue is None else str(summary.num_verts_tongue))
    for emotion, length in summary.minutes_per_emotion.items():
        shots = summary.shots_per_emotion[emotion]
        table.add_row(f"emotion {escape(printable(emotion))}", f"{length:.1f} minutes in {shots} shots")
    for rate, shots in summary.shots_per_samplerate.items():
        table.add_row(f"audio at {rate} Hz", f"{shots} shots")
    table.add_row("result", f"{len(report.errors)} errors, {len(report.warnings)} warnings")
    return table


AXES = "xyz"
# Factor from lengths to centimetres, and the unit of the lengths.
FACTORS = {
    100.0: "metres",
    0.1: "millimetres",
    2.54: "inches",
    30.48: "feet",
    10.0: "decimetres",
    0.01: "hundredths of centimetres (centimetres that were scaled by 100 once too often)",
    1000.0: "tens of metres",
    0.0001: "micrometres",
}
_NEAR = 0.12  # natural logarithm: tolerance of a measured factor


def nearest_factor(factor: float, *, loosely: bool = False) -> float:
    """Returns the factor of the table that matches a measured one, else the measured one to two digits.

    Args:
        factor: the measured factor, above 0.
        loosely: whether it was measured on motion, which varies between faces, so that the nearest factor is used.
    """
    near = min(FACTORS, key=lambda known: abs(math.log(known / factor)))
    return near if loosely or abs(math.log(near / factor)) <= _NEAR else float(f"{factor:.2g}")


def unit_words(factor: float) -> str:
    """Names the unit of lengths that must be multiplied by `factor`, such as "in metres"."""
    name = FACTORS.get(factor)
    return f"in {name}" if name else f"{1 / factor:.3g} times as large as they should be"


def scale_remedy(factor: float) -> str:
    """Describes the fix for lengths that must be multiplied by `factor`."""
    return f"Multiply all its lengths by {factor:g}: lengths are centimetres."


def nearest_axes(matrix: FloatArray) -> Int64Array:
    """Returns the signed permutation matrix `[3, 3]` nearest to an orthogonal one."""
    found = np.zeros((3, 3), np.int64)
    free = np.abs(np.asarray(matrix, np.float64))
    for _ in range(3):
        row, column = np.unravel_index(int(np.argmax(free)), free.shape)
        found[row, column] = 1 if matrix[row, column] > 0 else -1
        free[row], free[:, column] = -1, -1
    return found


def axes_formula(matrix: Int64Array) -> str:
    """Returns the new coordinates in terms of the old, such as "(x, z, -y)", for `new = matrix @ old`."""
    terms = []
    for row in matrix:
        column = int(np.argmax(np.abs(row)))
        terms.append(f"{'-' if row[column] < 0 else ''}{AXES[column]}")
    return f"({', '.join(terms)})"


def is_mirror(matrix: FloatArray | Int64Array) -> bool:
    """Returns whether an orthogonal matrix contains a reflection."""
    return bool(np.linalg.det(np.asarray(matrix, np.float64)) < 0)
