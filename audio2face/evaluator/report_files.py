"""Writes a report as files, reads it back, and says it in a few lines on the terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from audio2face.errors import FileFormatError, printable
from audio2face.evaluator.page import render_page
from audio2face.evaluator.results import SCHEMA, Behaviour, Interval, Report, Subject
from audio2face.evaluator.wording import MISSING, decimals_for, main_metrics, number, range_words
from audio2face.io.arrays import read_json
from audio2face.io.atomic import atomic_files, pretty_json, write_text

Scores = Mapping[str, Mapping[str, Mapping[str, float]]]  # subject, recording, metric
REPORT_FILE, SCORES_FILE, SUMMARY_FILE, PAGE_FILE = "report.json", "scores.csv", "summary.csv", "report.html"
_TERMINAL_COLUMNS = 5  # metrics beside the names of the subjects


def write_report(report: Report, folder: Path) -> list[Path]:
    """Writes `report.json`, `scores.csv`, `summary.csv` and `report.html` together: all of them, or none.

    Returns:
        Their paths.

    Raises:
        UserError: the files cannot be written.
    """
    contents = {
        REPORT_FILE: pretty_json(_plain({"schema": SCHEMA} | _values(report))) + "\n",
        SCORES_FILE: _csv(_score_rows(report)),
        SUMMARY_FILE: _csv(_summary_rows(report)),
        PAGE_FILE: render_page(report),
    }
    with atomic_files(folder) as temporary:
        for name, text in contents.items():
            write_text(temporary / name, text)
    return [folder / name for name in contents]


def read_report(path: Path) -> Report:
    """Reads a `report.json`.

    A number without a value is NaN again, and an undefined score is missing.

    Raises:
        FileFormatError: the file has another schema, or does not hold a report.
        UserError: there is no such file, or it is not JSON.
    """
    values = read_json(path)
    schema = values.get("schema") if isinstance(values, dict) else None
    if schema != SCHEMA:
        found = "no schema" if schema is None else f"schema {str(schema)[:80]!r}"
        hint = "Give the report.json of an evaluation by this version, or evaluate again."
        raise FileFormatError(f"has {found}; expected {SCHEMA!r}", path=path, hint=hint)
    try:
        report = _REPORT.validate_python(_filled(Report, values))
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"is not a report: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise FileFormatError(problem, path=path, hint="Evaluate again.") from error
    return replace(report, scores=_defined(report.scores))


_REPORT = TypeAdapter(Report)


def _values(item: Any) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in fields(item)}


def _plain(value: Any) -> Any:
    """The value as JSON has it: dataclasses and mappings as objects, NaN and infinities as null."""
    if is_dataclass(value):
        value = _values(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _filled(kind: Any, value: Any) -> Any:
    """A value of JSON with NaN for null where its type is a number that is always there.

    Args:
        kind: the declared type of the value.
        value: the value; of other types than declared it stays as it is, for the validation to find.
    """
    if value is None:
        return math.nan if kind is float else None
    if isinstance(value, dict) and is_dataclass(kind):
        kinds = get_type_hints(kind)
        return {name: _filled(kinds.get(name), item) for name, item in value.items()}
    arguments = get_args(kind)
    if isinstance(value, dict) and len(arguments) == 2:
        return {name: _filled(arguments[1], item) for name, item in value.items()}
    if isinstance(value, list) and len(arguments) == 1:
        return [_filled(arguments[0], item) for item in value]
    return value


def _defined(scores: Scores) -> Scores:
    """The scores without NaN."""
    return {
        subject: {
            recording: {metric: value for metric, value in row.items() if not math.isnan(value)}
            for recording, row in rows.items()
        }
        for subject, rows in scores.items()
    }


def _score_rows(report: Report) -> Iterable[list[str]]:
    yield ["subject", "recording", *report.metrics]
    for subject, recordings in report.scores.items():
        for recording, row in recordings.items():
            yield [subject, recording, *(_figure(row.get(metric)) for metric in report.metrics)]


def _summary_rows(report: Report) -> Iterable[list[str]]:
    yield ["subject", "metric", "mean", "low", "high", "recordings"]
    for subject, row in report.summary.items():
        for metric, interval in row.items():
            figures = [_figure(value) for value in (interval.mean, interval.low, interval.high)]
            yield [subject, metric, *figures, str(interval.recordings)]


def _figure(value: float | None) -> str:
    """Eight significant digits; empty for an undefined value."""
    return "" if value is None or not math.isfinite(value) else f"{value:.8g}"


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def summary_lines(report: Report, width: int = 120) -> list[str]:
    """The report for a terminal: what was evaluated, main metrics of each subject with intervals, behaviour tests.

    Args:
        report: the evaluation.
        width: of the terminal, characters.
    """
    metrics = main_metrics(report)[:_TERMINAL_COLUMNS]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    table.add_column("", max_width=max(24, width // 3), overflow="fold")
    for name in metrics:
        facts = report.metrics[name]
        table.add_column(Text(_safe(f"{facts.label}\n{facts.unit or ' '}")), justify="right", no_wrap=True)
    for subject in report.subjects:
        row = report.summary.get(subject.name, {})
        table.add_row(_terminal_head(subject), *(_terminal_cell(report, name, row.get(name)) for name in metrics))
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(Text(_safe(f"{report.title}: {_count(report)}")))
    console.print(Text("Mean over recordings, and its 95 % interval below:"))
    console.print(table)
    for subject_name, tests in report.behaviours.items():
        console.print(Text(_safe(f"Behaviour tests of {subject_name}: {_passed(tests)}")))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def flag_lines(report: Report, level: Literal["warning", "note"]) -> list[str]:
    """The flags of one level for a terminal, one line each."""
    return [
        _safe(flag.text if not flag.subject or flag.subject in flag.text else f"{flag.subject}: {flag.text}")
        for flag in report.flags
        if flag.level == level
    ]


def _terminal_head(subject: Subject) -> Text:
    """The name of a subject; the variant of a run in the line below."""
    if subject.run and subject.variant:
        return Text(f"{_safe(subject.run)}\n  {_safe(subject.variant)}")
    return Text(_safe(subject.name))


def _passed(tests: Sequence[Behaviour]) -> str:
    """Such as "15 passed, 2 failed (shut on breath, no bursts)"."""
    failed = [test.label for test in tests if test.passed is False]
    words = f"{sum(test.passed is True for test in tests)} passed, {len(failed)} failed"
    return f"{words} ({', '.join(failed)})" if failed else words


def _terminal_cell(report: Report, metric: str, interval: Interval | None) -> Text:
    """The mean, and its interval in the line below."""
    if interval is None:
        return Text(MISSING)
    decimals = decimals_for(row[metric].mean for row in report.summary.values() if metric in row)
    return Text(f"{number(interval.mean, decimals)}\n{range_words(interval, decimals)}")


def _count(report: Report) -> str:
    seconds = sum(recording.seconds for recording in report.recordings)
    return f"{len(report.recordings)} recordings, {seconds:.0f} s"


def _safe(text: str) -> str:
    return printable(text)
