"""The files of a report: what is written is read back, tables hold the numbers, and the terminal says what matters."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_reports import made_report

from audio2face.errors import FileFormatError
from audio2face.evaluator.report_files import flag_lines, read_report, summary_lines, write_report
from audio2face.evaluator.results import Interval, Report


def normal(value: Any) -> Any:
    """A value for comparisons: NaN and infinities, which JSON does not have, are None."""
    if is_dataclass(value):
        return {field.name: normal(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: normal(item) for name, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return [normal(item) for item in value] if isinstance(value, list | tuple) else value


def with_defined_scores(values: dict[str, Any]) -> dict[str, Any]:
    for rows in values["scores"].values():
        for recording, row in rows.items():
            rows[recording] = {metric: value for metric, value in row.items() if value is not None}
    return values


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(report=st.from_type(Report))
def test_any_report_is_read_back(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_report(report, Path(folder))
        found = read_report(Path(folder) / "report.json")
    assert normal(found) == with_defined_scores(normal(report))


def test_numbers_are_read_back_bit_by_bit_and_nan_as_nan(tmp_path: Path) -> None:
    report = made_report(2)
    curves = {name: replace(found, truth=[math.nan, 0.1 + 0.2]) for name, found in report.curves.items()}
    summary = {"ridge": {"lip_lag": Interval(mean=math.nan, low=None, high=1.0, recordings=0)}}
    paths = write_report(replace(report, curves=curves, summary=summary), tmp_path)
    assert [path.name for path in paths] == ["report.json", "scores.csv", "summary.csv", "report.html"]
    found = read_report(tmp_path / "report.json")
    assert math.isnan(found.summary["ridge"]["lip_lag"].mean)
    assert found.summary["ridge"]["lip_lag"].low is None
    for curve in found.curves.values():
        assert math.isnan(curve.truth[0])
        assert curve.truth[1] == 0.1 + 0.2
    assert found.scores == report.scores
    assert found.behaviours == report.behaviours


def test_files_of_two_times_are_equal(tmp_path: Path) -> None:
    for first, second in zip(*(write_report(made_report(3), tmp_path / name) for name in "ab"), strict=True):
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": "audio2face.evaluation/2"}, "has schema 'audio2face.evaluation/2'"),
        ({"schema": None}, "has no schema"),
        ({"subjects": [{"name": "a", "kind": "person"}]}, "subjects.0.kind"),
        ({"summary": {"ridge": {"lag": {"mean": "fast"}}}}, "summary.ridge.lag"),
        ({"curves": 3}, "curves: Input should be"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    path = write_report(made_report(2), tmp_path)[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FileFormatError, match=r"report\.json") as error:
        read_report(path)
    assert problem in str(error.value)


def test_tables_hold_the_numbers(tmp_path: Path) -> None:
    report = made_report(3)
    write_report(report, tmp_path)
    with (tmp_path / "scores.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len(report.subjects) * 3
    last = next(row for row in rows if row["subject"] == "ridge" and row["recording"] == "cp3_anger")
    assert float(last["lip_lag"]) == pytest.approx(report.scores["ridge"]["cp3_anger"]["lip_lag"], rel=1e-7)
    assert next(row for row in rows if row["subject"] == "neutral")["lip_lag"] == ""
    with (tmp_path / "summary.csv").open(newline="") as handle:
        summary = {(row["subject"], row["metric"]): row for row in csv.DictReader(handle)}
    found, expected = summary["ridge", "lip_vertex_error"], report.summary["ridge"]["lip_vertex_error"]
    assert [float(found[name]) for name in ("mean", "low", "high")] == pytest.approx(
        [expected.mean, expected.low, expected.high], rel=1e-7
    )
    assert found["recordings"] == "3"


def test_terminal_shows_intervals_and_flags() -> None:
    report = made_report(3, prefix="[red]")
    summary = {"[red]ridge": {"lip_lag": Interval(mean=-12.34, low=-20.04, high=3.0, recordings=3)}}
    lines = summary_lines(replace(report, summary=summary))
    assert lines[0] == "[red]Two networks of mary on test shots: 3 recordings, 18 s"
    row = next(place for place, line in enumerate(lines) if line.startswith("[red]ridge"))
    assert lines[row].endswith("−12.3")
    assert lines[row + 1].strip() == "−20.0 to 3.0"
    (warning,), (note,) = flag_lines(report, "warning"), flag_lines(report, "note")
    assert warning.startswith("[red]261130_142233_mary, finished: It does not clear the ridge")
    assert note.startswith("4 recordings")
    assert max(map(len, lines)) <= 120
    tested = [line for line in lines if line.startswith("Behaviour tests")]
    assert len(tested) == len(report.behaviours)
    assert "2 failed (" in tested[1]
