"""The figures of a run: `metrics.csv`, TensorBoard's file, and the curves drawn from them."""

from __future__ import annotations

import csv
import io
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from audio2face.errors import UserError
from audio2face.files import atomic_write, write_text
from audio2face.training.checkpoints import Progress

METRICS_FILE = "metrics.csv"
CURVES_FILE = "curves.png"
_HEADER = ("step", "epoch", "minutes", "metric", "value")
_COLUMNS = 3
_PATIENCE = 60.0  # seconds; drawing takes about one


class RunLog:
    """Writes figures as they come, so that a killed run keeps them.

    Args:
        folder: the run folder.
        step: the step that training goes on from; what is noted of later ones is dropped.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        self._path = folder / METRICS_FILE
        kept = [row for row in _rows(self._path) if int(row[0]) <= step] if step else []
        write_text(self._path, "".join(_line(row) for row in [_HEADER, *kept]))
        self._drawn = time.monotonic()
        self._board = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def write(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Notes figures of a moment.

        Raises:
            UserError: the disk is full.
        """
        place = (progress.step, progress.epoch + 1, f"{progress.seconds / 60:.3f}")
        try:
            with self._path.open("a", encoding="utf-8", newline="") as handle:
                handle.writelines(_line((*place, name, f"{value:.8g}")) for name, value in values.items())
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror or error}", path=self._path) from error
        for name, value in values.items():
            self._board.add_scalar(name, value, progress.step)

    def draw(self, *, patiently: bool = False) -> None:
        """Draws all figures anew; `patiently`: not where that was done a short while ago."""
        if not patiently or time.monotonic() - self._drawn > _PATIENCE:
            draw_curves(self._path)
            self._drawn = time.monotonic()

    def close(self) -> None:
        """Ends the files."""
        self._board.close()


def draw_curves(path: Path) -> None:
    """Draws the figures of a `metrics.csv` into `curves.png` beside it, one panel for each."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for step, _, _, name, value in _rows(path):
        if math.isfinite(float(value)):
            curves[name].append((int(step), float(value)))
    if not curves:
        return
    rows = math.ceil(len(curves) / _COLUMNS)
    figure = Figure(figsize=(5 * _COLUMNS, 2.6 * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for panel in panels[len(curves) :]:
        panel.remove()
    for panel, name in zip(panels, sorted(curves), strict=False):
        steps, values = zip(*curves[name], strict=True)
        held_out = name.startswith("validation/")
        panel.plot(steps, values, marker="." if held_out or len(steps) == 1 else None, linewidth=1)
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=8)
        if name.startswith("loss") and min(values) > 0:
            panel.set_yscale("log")
    with atomic_write(path.with_name(CURVES_FILE)) as handle:
        figure.savefig(handle, format="png", dpi=110)


def _rows(path: Path) -> list[list[str]]:
    """The rows below the header; one that a kill cut off is left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    whole = text[: text.rfind("\n") + 1]
    rows = list(csv.reader(io.StringIO(whole)))[1:]
    return [row for row in rows if len(row) == len(_HEADER)]


def _line(row: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(row)
    return buffer.getvalue()
