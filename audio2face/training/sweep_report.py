"""The table and the picture of a sweep."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from audio2face.io.atomic import atomic_write, write_text
from audio2face.training.sweep import TrialResult

TABLE_FILE, PICTURE_FILE = "sweep.csv", "sweep.png"
_COLUMNS = 3
_LOGARITHMIC_FROM = 10.0  # ratio of largest to smallest value


def ranked(results: Sequence[TrialResult]) -> list[TrialResult]:
    """The results from the best to the worst; failed ones last."""
    return sorted(results, key=lambda result: (result.score, result.number))


def write_table(results: Sequence[TrialResult], path: Path) -> None:
    """Writes a row for each trial, the best first: number, status, run, parameters, metrics, minutes."""
    metrics = list(dict.fromkeys(name for result in results for name in result.metrics))
    names = _parameters(results)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "status", "run", *names, *metrics, "minutes"])
    for result in ranked(results):
        values = dict(value.split("=", 1) for value in result.values)
        status = "done" if result.status == 0 else f"failed ({result.status})"
        figures = [f"{result.metrics[name]:.8g}" if name in result.metrics else "" for name in metrics]
        parameters = [values.get(name, "") for name in names]
        writer.writerow([result.number, status, result.run or "", *parameters, *figures, result.minutes])
    write_text(path, text.getvalue())


def terminal_table(results: Sequence[TrialResult]) -> Table:
    """The same for a terminal: with the metric that chooses alone."""
    metric = next((result.best_metric for result in results if result.best_metric), "metric")
    names = _parameters(results)
    table = Table("trial", *names, metric, "minutes", "run")
    for result in ranked(results):
        values = dict(value.split("=", 1) for value in result.values)
        score = f"{result.score:.4g}" if math.isfinite(result.score) else "none" if result.run else "failed"
        parameters = [values.get(name, "") for name in names]
        table.add_row(str(result.number), *parameters, score, f"{result.minutes:.1f}", result.run or "")
    return table


def draw(results: Sequence[TrialResult], path: Path) -> bool:
    """Draws the metric that chooses over each parameter; False where no trial has one."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    scored = [result for result in results if math.isfinite(result.score)]
    names = _parameters(results)
    if not scored or not names:
        return False
    rows = math.ceil(len(names) / _COLUMNS)
    figure = Figure(figsize=(5 * min(_COLUMNS, len(names)), 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, min(_COLUMNS, len(names)), squeeze=False).flatten()
    best = ranked(scored)[0]
    for panel in panels[len(names) :]:
        panel.remove()
    for panel, name in zip(panels, names, strict=False):
        texts = [dict(value.split("=", 1) for value in result.values)[name] for result in scored]
        numbers = _numbers(texts)
        places = numbers or texts
        if numbers and min(numbers) > 0 and max(numbers) / min(numbers) >= _LOGARITHMIC_FROM:
            panel.set_xscale("log")
        panel.scatter(places, [result.score for result in scored], s=16)
        panel.scatter([places[scored.index(best)]], [best.score], s=60, facecolors="none", edgecolors="red")
        panel.set_xlabel(name, fontsize=9)
        panel.set_ylabel(best.best_metric, fontsize=9)
        panel.tick_params(labelsize=8)
    with atomic_write(path) as handle:
        figure.savefig(handle, format="png", dpi=110)
    return True


def _parameters(results: Sequence[TrialResult]) -> list[str]:
    return list(dict.fromkeys(value.split("=", 1)[0] for result in results for value in result.values))


def _numbers(texts: Sequence[str]) -> list[float]:
    """The texts as finite numbers; empty where one of them is none."""
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
