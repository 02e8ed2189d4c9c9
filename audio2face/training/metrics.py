"""Averages of losses between two lines of the log, how fast training is, and how long it still takes."""

from __future__ import annotations

import csv
import io
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from audio2face.errors import UserError
from audio2face.evaluate.lips import score_lips
from audio2face.io.atomic import atomic_write, write_text
from audio2face.training.checkpoint import Progress
from audio2face.training.distributed import all_reduce_sum
from audio2face.types import MM_PER_CM, FloatArray, Int64Array

_FIGURES = ("gradient_norm", "r2")  # that are no losses


@dataclass(frozen=True)
class Throughput:
    """How fast training is.

    Attributes:
        frames_per_second: frames learnt from, in all processes, since the line before.
        seconds_left: until all epochs are done or the time limit is reached.
    """

    frames_per_second: float
    seconds_left: float

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        left = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
        return f"{self.frames_per_second:,.0f} frames/s, {left} left"


class MetricAverager:
    """Sums up on the device, so that nothing waits for it between two lines.

    Args:
        batches: of the whole training.
        limit_seconds: time after which it ends anyway; None: never.
    """

    def __init__(self, batches: int, limit_seconds: float | None) -> None:
        self._batches = batches
        self._limit = limit_seconds
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}
        self._frames = 0
        self._first: tuple[int, float] | None = None
        self._began = self._said = time.monotonic()

    def start(self, spent: float) -> None:
        """Training starts, or goes on after `spent` seconds."""
        self._said = time.monotonic()
        self._began = self._said - spent

    def add(self, losses: Mapping[str, Tensor], weight: float, frames: int) -> None:
        """Takes in means over `weight` items."""
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + loss.float() * weight
            self._weights[name] = self._weights.get(name, 0.0) + weight
        self._frames += frames

    def flush(self, fabric: Fabric, done: int) -> tuple[dict[str, float], Throughput]:
        """Averages and pace since the last call, over all processes.

        Args:
            fabric: the engine.
            done: batches of the whole training that are done.

        Returns:
            "loss", "losses/<term>" and "gradient_norm", as far as anything came in; and the pace.
        """
        now = time.monotonic()
        names = list(self._sums)
        weights = torch.tensor([self._weights[name] for name in names] + [float(self._frames)], device=fabric.device)
        sums = torch.stack([self._sums[name] for name in names]) if names else weights[:0]
        sums, weights = torch.split(all_reduce_sum(fabric, torch.cat([sums, weights])), [len(names), len(names) + 1])
        averages = (sums / weights[:-1]).tolist()
        pace = Throughput(float(weights[-1]) / max(now - self._said, 1e-9), self._seconds_left(done, now))
        self._sums, self._weights, self._frames, self._said = {}, {}, 0, now
        return {_label(name): value for name, value in zip(names, averages, strict=True)}, pace

    def _seconds_left(self, done: int, now: float) -> float:
        """From the batches since the first line, which alone knows start-up."""
        self._first = self._first or (done - 1, self._said)
        batches, since = self._first
        left = (now - since) / max(done - batches, 1) * (self._batches - done)
        return left if self._limit is None else max(0.0, min(left, self._limit - (now - self._began)))


def _label(name: str) -> str:
    if name in _FIGURES:
        return name
    return "loss" if name == "total" else f"losses/{name}"


LIP_ERROR, LIP_CORRELATION, SKIN_ERROR = "lip_error_mm", "lip_correlation", "skin_error_mm"


class FaceScores:
    """Takes in clips piece by piece, in the order of their frames."""

    def __init__(self) -> None:
        self._skin: dict[int, list[Tensor]] = {}
        self._lips: dict[int, list[tuple[FloatArray, FloatArray]]] = {}

    def add(self, clip: int, predicted: Tensor, true: Tensor, lips: Int64Array | None) -> None:
        """Takes in frames of a clip.

        Args:
            clip: its number.
            predicted: the skin, in centimetres from any fixed origin, `[frames, verts, 3]`.
            true: likewise.
            lips: vertices of the upper and of the lower lip, `[2, pairs]`; None: they are not known.
        """
        error = MM_PER_CM * (predicted - true).norm(dim=-1).mean(dim=-1)
        self._skin.setdefault(clip, []).append(error.cpu())
        if lips is not None:
            self._lips.setdefault(clip, []).append((predicted[:, lips].cpu().numpy(), true[:, lips].cpu().numpy()))

    def metrics(self) -> dict[str, float]:
        """The figures of all clips; nothing where there were none.

        Returns:
            `skin_error_mm`: distance of a vertex from its true place, mean over vertices, frames, then clips; and,
            where lips are known, what `score_lips` gives.
        """
        if not self._skin:
            return {}
        metrics = {SKIN_ERROR: float(np.mean([torch.cat(errors).mean().item() for errors in self._skin.values()]))}
        if self._lips:
            pieces = self._lips.values()
            predicted, true = ([np.concatenate([pair[side] for pair in own]) for own in pieces] for side in (0, 1))
            score = score_lips(predicted, true)
            metrics |= {LIP_ERROR: score.error_mm, LIP_CORRELATION: score.correlation}
        return metrics


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

    def log(self, progress: Progress, values: Mapping[str, float]) -> None:
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
