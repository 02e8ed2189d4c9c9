"""The report of a preprocessing run: kept and selected poses, explained variance, reconstruction error and cost.

Written as JSON, as Markdown, and as a plot of the variance.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.extras import missing
from audio2face.io.atomic import atomic_write, write_json, write_text
from audio2face.preproc.network_data import ShotRow
from audio2face.preproc.pipeline import PartResult
from audio2face.preproc.reconstruction import Reconstruction

REPORT_FOLDER = "report"
_PICTURE = "variance.png"


@dataclass(frozen=True)
class Cost:
    """Cost of a run.

    Attributes:
        wall_seconds: duration of the last session, including waiting.
        peak_anonymous_bytes: peak anonymous memory; None if the system does not report it.
        resumed: whether results of an earlier, stopped session were reused, so that the time is not the total.
    """

    wall_seconds: float
    peak_anonymous_bytes: int | None
    resumed: bool


def write_report(
    run: Path, actor: str, parts: Mapping[str, PartResult], shots: Iterable[ShotRow], notes: list[str], cost: Cost
) -> None:
    """Writes `report.json`, `report.md` and, with matplotlib, `variance.png` into the run's report folder.

    Args:
        run: the run folder.
        actor: name of the actor.
        parts: results of "skin" and, if the actor has one, "tongue".
        shots: the shot list.
        notes: repairs and missing data, for people.
        cost: time and memory.
    """
    seconds: Counter[str] = Counter()
    for row in shots:
        seconds[row.emotion] += row.num_frames / row.fps  # type: ignore[assignment]
    values = {
        "run": run.name,
        "actor": actor,
        "minutes_per_emotion": {emotion: round(seconds[emotion] / 60, 3) for emotion in sorted(seconds)},
        **{name: _part_values(part) for name, part in parts.items()},
        "notes": notes,
        "cost": asdict(cost),
    }
    folder = run / REPORT_FOLDER
    write_json(folder / "report.json", values)
    drawn = "matplotlib" not in missing("train")  # a base installation does without the plot
    write_text(folder / "report.md", _markdown(values, parts, drawn))
    if drawn:
        with atomic_write(folder / _PICTURE) as handle:
            handle.write(_picture(actor, parts))


def _part_values(part: PartResult) -> dict[str, Any]:
    fitted = part.fitted
    return {
        "basis": "pca" if fitted.variance_threshold is not None else "blendshapes",
        "components": len(fitted.components.matrix),
        "variance_threshold": fitted.variance_threshold,
        "variance_explained": [float(value) for value in fitted.explained],
        "frames": sum(fitted.num_frames.values()),
        "kept": sum(len(frames) for frames in part.kept.values()),
        "selected": sum(len(frames) for frames in part.selected.values()),
        "poses_per_shot": {
            shot: {
                "frames": fitted.num_frames.get(shot),
                "kept": len(frames),
                "selected": len(part.selected.get(shot, ())),
            }
            for shot, frames in part.kept.items()
        },
        "reconstruction_error_mm": asdict(fitted.reconstruction),
    }


# --- For people --------------------------------------------------------------------------------------------------


def _markdown(values: Mapping[str, Any], parts: Mapping[str, PartResult], drawn: bool) -> str:
    lines = [f"# Preprocessing of {values['actor']}", "", f"Run `{values['run']}`.", ""]
    lines += _table(["emotion", "minutes"], [[name, f"{m:.2f}"] for name, m in values["minutes_per_emotion"].items()])
    for name, part in parts.items():
        lines += _part_lines(name, part, _PICTURE if drawn and name == "skin" else None)
    if values["notes"]:
        lines += ["## Notes", "", *(f"- {note}" for note in values["notes"]), ""]
    lines += ["## Cost", "", _cost_line(values["cost"]), ""]
    return "\n".join(lines)


def _part_lines(name: str, part: PartResult, picture: str | None) -> list[str]:
    error = part.fitted.reconstruction
    where = f"shot {error.worst_shot}, frame {error.worst_frame}, vertex {error.worst_vertex}"
    rows = [
        ["error of a vertex", f"mean {error.mean_mm:.3f} mm, 99 % within {error.p99_mm:.3f} mm"],
        ["largest error", f"{error.worst_mm:.2f} mm: {where}"],
        *_lips_row(error),
    ]
    lines = [f"## {name.capitalize()}", "", f"{part}.", "", *_table(["reconstruction", ""], rows)]
    if part.fitted.variance_threshold is None:
        return lines + _table(["shot", "frames"], [[shot, str(n)] for shot, n in part.fitted.num_frames.items()])
    per_shot = [
        [shot, str(part.fitted.num_frames.get(shot, "-")), str(len(found)), str(len(part.selected.get(shot, ())))]
        for shot, found in part.kept.items()
    ]
    lines += [f"![variance]({picture})", ""] if picture else []
    return lines + _table(["shot", "frames", "kept", "selected"], per_shot)


def _lips_row(error: Reconstruction) -> list[list[str]]:
    lips = error.lips_closed
    if lips is None:
        return []
    text = f"lip distance off by {lips.mean_mm:.3f} mm on average, {lips.worst_mm:.2f} mm at worst"
    return [["closed lips", f"{text} ({lips.frames} frames)"]]


def _cost_line(cost: Mapping[str, Any]) -> str:
    peak = cost["peak_anonymous_bytes"]
    memory = "unknown peak memory" if peak is None else f"{peak / 2**30:.2f} GB of anonymous memory at most"
    whole = " since it was resumed" if cost["resumed"] else ""
    return f"{cost['wall_seconds']:.1f} seconds{whole}, {memory}."


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]


def _picture(actor: str, parts: Mapping[str, PartResult]) -> bytes:
    """Plots unexplained variance against the number of components, and the errors of selected poses, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11, 4), dpi=110)
    FigureCanvasAgg(figure)
    margins = {"left": 0.07, "right": 0.98, "bottom": 0.14, "top": 0.9, "wspace": 0.2}
    variance, picking = figure.subplots(1, 2, gridspec_kw=margins)
    for number, (name, part) in enumerate(parts.items()):
        colour = f"C{number}"
        explained, threshold = part.fitted.explained, part.fitted.variance_threshold
        if threshold is None:
            continue  # blend shapes explain no variance one after the other
        lacking = 100 * np.maximum(1 - np.concatenate([[0.0], explained]), 1e-6)
        variance.semilogy(lacking, marker=".", color=colour, label=f"{name}: {len(explained)} components")
        variance.axhline(100 * (1 - threshold), color=colour, linestyle=":", linewidth=1)
        if part.pick_errors.size:
            picking.semilogy(np.arange(1, part.pick_errors.size + 1), part.pick_errors, color=colour, label=name)
    title = f"{actor}: unexplained variance (dotted: the limit)"
    variance.set(xlabel="components", ylabel="variance not explained, %", title=title)
    picking.set(
        xlabel="selected poses",
        ylabel="distance from earlier poses, cm",
        title="Novelty of each selected pose",
    )
    variance.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (variance, picking):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png")
        return buffer.getvalue()
