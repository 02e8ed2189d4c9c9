"""Metrics of training: averages between two lines of the log, throughput, validation metrics of faces, and curves.

`HeldOutFrame` is a picture of one validation frame: the network's face beside the recorded one.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from audio2face.animation.animation import Animation, Surface
from audio2face.config_base.types import TrackerName
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.evaluate.lips import LipScore, score_lips
from audio2face.export.video import write_picture
from audio2face.io.atomic import atomic_write
from audio2face.training.checkpoint import Progress
from audio2face.training.distributed import all_reduce_sum
from audio2face.training.trackers import METRICS_FILE, Outcome, TrackedRun, open_trackers, read_metric_rows
from audio2face.types import MM_PER_CM, Float32Array, FloatArray, Int32Array, Int64Array

if TYPE_CHECKING:  # loads in two seconds, which deployment is spared
    from lightning_fabric import Fabric

_PLAIN_METRICS = ("gradient_norm", "r2")  # logged without the prefix of losses
LIP_ERROR, LIP_CORRELATION, SKIN_ERROR = "lip_error_mm", "lip_correlation", "skin_error_mm"
CURVES_FILE = "curves.png"
_COLUMNS = 3
_DRAW_PERIOD = 60.0  # seconds; drawing takes about one
HELD_OUT_FRAME_FILE = "held_out_frame.png"
_PICTURE_SIZE = (960, 540)


@dataclass(frozen=True)
class Throughput:
    """The speed of training.

    Attributes:
        frames_per_second: frames of the batches of all processes since the last line of the log.
        seconds_left: time until all epochs are done or the time limit is reached.
    """

    frames_per_second: float
    seconds_left: float

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        left = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
        return f"{self.frames_per_second:,.0f} frames/s, {left} left"


class MetricAverager:
    """Averages metrics on the device, without a synchronisation between two lines of the log.

    Args:
        batches: number of batches of the whole training.
        limit_seconds: time limit of the training; None: none.
    """

    def __init__(self, batches: int, limit_seconds: float | None) -> None:
        self._batches = batches
        self._limit = limit_seconds
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}
        self._frames = 0
        self._first: tuple[int, float] | None = None
        self._started = self._flushed = time.monotonic()

    def start(self, spent: float) -> None:
        """Starts the clock, of a resumed training at `spent` seconds."""
        self._flushed = time.monotonic()
        self._started = self._flushed - spent

    def add(
        self,
        losses: Mapping[str, Tensor],
        weight: float,
        frames: int,
        group_sizes: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Adds means over `weight` items; a name such as "synthetic/mse" is a mean over the items of that group."""
        for name, loss in losses.items():
            own = group_sizes.get(name.partition("/")[0], weight)
            self._sums[name] = self._sums.get(name, 0.0) + loss.float() * own
            self._weights[name] = self._weights.get(name, 0.0) + own
        self._frames += frames

    def flush(self, fabric: Fabric, done: int) -> tuple[dict[str, float], Throughput]:
        """Averages and throughput of all processes since the last call.

        Args:
            fabric: device and processes.
            done: batches done since the start of training.

        Returns:
            "loss", "losses/<term>", "<group>/<term>" and "gradient_norm", of those that were added with items; and the
            throughput.
        """
        now = time.monotonic()
        names = list(self._sums)
        weights = torch.tensor([self._weights[name] for name in names] + [float(self._frames)], device=fabric.device)
        sums = torch.stack([self._sums[name] for name in names]) if names else weights[:0]
        sums, weights = torch.split(all_reduce_sum(fabric, torch.cat([sums, weights])), [len(names), len(names) + 1])
        averages = (sums / weights[:-1]).tolist()
        has_items = (weights[:-1] > 0).tolist()  # a group may have been in no batch
        throughput = Throughput(float(weights[-1]) / max(now - self._flushed, 1e-9), self._seconds_left(done, now))
        self._sums, self._weights, self._frames, self._flushed = {}, {}, 0, now
        found = zip(names, averages, has_items, strict=True)
        return {_label(name): value for name, value, has_any in found if has_any}, throughput

    def _seconds_left(self, done: int, now: float) -> float:
        """Extrapolated from the batches since the first line, which excludes the start-up."""
        self._first = self._first or (done - 1, self._flushed)
        batches, since = self._first
        left = (now - since) / max(done - batches, 1) * (self._batches - done)
        return left if self._limit is None else max(0.0, min(left, self._limit - (now - self._started)))


def _label(name: str) -> str:
    if name in _PLAIN_METRICS or "/" in name:
        return name
    return "loss" if name == "total" else f"losses/{name}"


class FaceScores:
    """Accumulates the metrics of clips, whose frames are added in order.

    Attributes:
        sample: of the first clip's first block, the frame with the mouth widest open: predicted and true skin, each
            float32 `[verts, 3]`, as added; None without clips.
    """

    def __init__(self) -> None:
        self.sample: tuple[Float32Array, Float32Array] | None = None
        self._skin: dict[int, list[Tensor]] = {}
        self._lips: dict[int, list[tuple[FloatArray, FloatArray]]] = {}

    def add(self, clip: int, predicted: Tensor, true: Tensor, lips: Int64Array | None) -> None:
        """Adds frames of a clip.

        Args:
            clip: index of the clip.
            predicted: skin vertices in centimetres from any fixed origin, `[frames, verts, 3]`.
            true: ground truth, the same shape and origin.
            lips: vertices of the upper and of the lower lip, `[2, pairs]`; None: no lip metrics.
        """
        if self.sample is None:
            frame = _expressive_frame(true, lips)
            self.sample = (predicted[frame].float().cpu().numpy(), true[frame].float().cpu().numpy())
        error = MM_PER_CM * (predicted - true).norm(dim=-1).mean(dim=-1)
        self._skin.setdefault(clip, []).append(error.cpu())
        if lips is not None:
            self._lips.setdefault(clip, []).append((predicted[:, lips].cpu().numpy(), true[:, lips].cpu().numpy()))

    def metrics(self) -> dict[str, float]:
        """The metrics of all clips; empty without clips.

        Returns:
            `skin_error_mm`: distance of a vertex from its true position, mean over vertices, frames, then clips; and,
            of clips with known lips, `lip_error_mm` and `lip_correlation` of `score_lips`.
        """
        if not self._skin:
            return {}
        metrics = {SKIN_ERROR: float(np.mean([torch.cat(errors).mean().item() for errors in self._skin.values()]))}
        if self._lips:
            score = self._score(list(self._lips))
            metrics |= {LIP_ERROR: score.error_mm, LIP_CORRELATION: score.correlation}
        return metrics

    def lip_scores(self) -> dict[int, LipScore]:
        """Lip metrics of each clip with known lips, by its index."""
        return {clip: self._score([clip]) for clip in self._lips}

    def _score(self, clips: Sequence[int]) -> LipScore:
        pieces = [self._lips[clip] for clip in clips]
        predicted, true = ([np.concatenate([pair[side] for pair in own]) for own in pieces] for side in (0, 1))
        return score_lips(predicted, true)


def _expressive_frame(skin: Tensor, lips: Int64Array | None) -> int:
    """The frame with the mouth widest open; without known lips, the one that lies farthest from the mean.

    Args:
        skin: vertices, y upwards, `[frames, verts, 3]`.
        lips: vertices of the upper and of the lower lip, `[2, pairs]`.
    """
    if lips is None:
        return int((skin - skin.mean(dim=0)).norm(dim=-1).mean(dim=-1).argmax())
    upper, lower = (skin[:, side, 1].mean(dim=-1) for side in lips)
    return int((upper - lower).argmax())


class RunLog:
    """Sends metrics and pictures of a run to its trackers, and draws `curves.png`.

    Args:
        run: the run, and the step that training resumes from; metrics of later steps are dropped.
        trackers: TRACKERS.

    Raises:
        UserError: the package of a tracker is missing, or a file cannot be written.
    """

    def __init__(self, run: TrackedRun, trackers: Sequence[TrackerName] = ("tensorboard", "csv")) -> None:
        self._folder = run.folder
        self._step = run.step
        self._trackers = open_trackers(trackers, run)
        self._drawn = time.monotonic()
        self._can_draw_frames = True

    def log(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Keeps metrics of a training progress.

        Raises:
            UserError: `metrics.csv` cannot be written.
        """
        self._step = progress.step
        for tracker in self._trackers:
            tracker.log(progress, values)

    def draw(self, held_out_frame: Callable[[], HeldOutFrame | None] = lambda: None, *, if_due: bool = False) -> None:
        """Draws `curves.png` and `held_out_frame.png` again.

        Args:
            held_out_frame: returns the frame of the second; None leaves it as it is.
            if_due: unless they were drawn within the last minute.
        """
        if if_due and time.monotonic() - self._drawn <= _DRAW_PERIOD:
            return
        if draw_curves(self._folder / METRICS_FILE):
            self._keep(self._folder / CURVES_FILE)
        frame = held_out_frame()
        if frame is not None and self._can_draw_frames:
            self._draw_frame(frame, self._folder / HELD_OUT_FRAME_FILE)
        self._drawn = time.monotonic()

    def _draw_frame(self, frame: HeldOutFrame, path: Path) -> None:
        try:
            frame.draw(path)
        except UserError as error:
            self._can_draw_frames = False
            LOGGER.warning("no held-out frame is drawn: %s", error)
        else:
            self._keep(path)

    def _keep(self, path: Path) -> None:
        for tracker in self._trackers:
            tracker.picture(path.stem, path, self._step)

    def close(self, outcome: Outcome) -> None:
        """Ends the run in all trackers; a second call does nothing."""
        trackers, self._trackers = self._trackers, []
        for tracker in trackers:
            tracker.close(outcome)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Ends the run as what the block came to."""
        self.close("done" if kind is None else "stopped" if issubclass(kind, KeyboardInterrupt) else "failed")


def draw_curves(path: Path) -> bool:
    """Draws the metrics of a `metrics.csv` into `curves.png` beside it, one panel each; False where there are none."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for step, _, _, name, value in read_metric_rows(path):
        if math.isfinite(float(value)):
            curves[name].append((int(step), float(value)))
    if not curves:
        return False
    rows = math.ceil(len(curves) / _COLUMNS)
    figure = Figure(figsize=(5 * _COLUMNS, 2.6 * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for panel in panels[len(curves) :]:
        panel.remove()
    for panel, name in zip(panels, sorted(curves), strict=False):
        steps, values = zip(*curves[name], strict=True)
        is_validation = name.startswith("validation/")
        panel.plot(steps, values, marker="." if is_validation or len(steps) == 1 else None, linewidth=1)
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=8)
        if name.startswith("loss") and min(values) > 0:
            panel.set_yscale("log")
    with atomic_write(path.with_name(CURVES_FILE)) as handle:
        figure.savefig(handle, format="png", dpi=110)
    return True


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOutFrame:
    """One frame of the validation set.

    Attributes:
        actor: whose face it is.
        faces: polygons of the skin, int32 `[faces, 3 or 4]`.
        neutral: the neutral mesh, float32 `[verts, 3]`, centimetres.
        predicted: the network's skin, the same shape and unit.
        true: the recorded skin, the same shape and unit.
    """

    actor: str
    faces: Int32Array
    neutral: Float32Array
    predicted: Float32Array
    true: Float32Array

    def draw(self, path: Path) -> None:
        """Draws both faces as a PNG file.

        Raises:
            UserError: the polygons are not those of the mesh, or the file cannot be written.
        """
        predicted, true = self._face(self.predicted), self._face(self.true)
        write_picture(predicted, 0, path, compare=true, labels=("network", "recorded"), size=_PICTURE_SIZE)

    def _face(self, skin: Float32Array) -> Animation:
        return Animation(
            actor=self.actor,
            fps=1.0,
            skin=Surface(self.neutral, skin[None], self.faces),
            tongue=None,
            jaw=np.eye(4, dtype=np.float32)[None],
            eyes=np.zeros((1, 4), np.float32),
            emotion=np.zeros((1, 0), np.float32),
        )
