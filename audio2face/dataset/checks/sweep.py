"""Sweeps all frames once: invalid numbers, distant vertices, head motion, and the opening of lips and lids.

Holds a block of frames at a time, and keeps small arrays per shot and per actor.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from audio2face.console import track
from audio2face.dataset.checks.motion import MotionTrace, rigid_motion, sample_points
from audio2face.dataset.checks.report import Findings
from audio2face.dataset.checks.samples import FrameSample, SampledShot
from audio2face.dataset.checks.static import LARGEST, NOT_FINITE, within_reason
from audio2face.dataset.vertex_lists import VertexPairs
from audio2face.geometry import PointCache
from audio2face.types import BoolArray, Float32Array, Int64Array

_BLOCK_BYTES = 1 << 24
_OPEN = 0.2  # cm
_FEWEST_POINTS = 4  # a rigid motion of fewer points is indistinguishable from deformation
_STABILISE = "Remove the head's own motion in the animation package (stabilise on the skull) before exporting caches."
_WHOLE = 0.1  # of the vertices
_FAR = 3.0  # sizes of the mesh outside its box: beyond any face, typical of damaged numbers


@dataclass
class Openings:
    """Vertical distance of pairs of vertices, over all frames processed.

    Attributes:
        pairs: the vertices above and below.
        neutral: height of the upper vertex over the lower in the neutral pose, `[pairs]`; zero without one.
        narrowest: smallest such height, `[pairs]`.
        widest: largest such height, `[pairs]`.
    """

    pairs: VertexPairs
    neutral: Float32Array
    narrowest: Float32Array
    widest: Float32Array

    @classmethod
    def start(cls, pairs: VertexPairs, neutral: Float32Array | None) -> Openings:
        """Starts with the neutral pose `[verts, 3]`, or with closed pairs."""
        at_rest = np.zeros(len(pairs.upper), np.float32)
        if neutral is not None:
            at_rest = neutral[pairs.upper, 1] - neutral[pairs.lower, 1]
        return cls(pairs, at_rest, at_rest, at_rest)

    def feed(self, frames: Float32Array) -> None:
        """Adds finite frames `[frames, verts, 3]`."""
        heights = frames[:, self.pairs.upper, 1] - frames[:, self.pairs.lower, 1]
        self.narrowest = np.minimum(self.narrowest, heights.min(axis=0))
        self.widest = np.maximum(self.widest, heights.max(axis=0))

    def heights(self) -> Float32Array:
        """Returns the height of the upper vertex over the lower one, `[pairs]`, negative if they are exchanged.

        Pairs that are open in the neutral pose are judged there. Neutral lips that are closed may cross slightly; the
        middle of their range of openings is used.
        """
        return np.where(np.abs(self.neutral) > _OPEN, self.neutral, (self.narrowest + self.widest) / 2)


@dataclass
class _Bad:
    """Counts invalid vertices, and keeps the first."""

    frame: int | None = None
    vertex: int | None = None
    verts: int = 0
    frames: int = 0

    def note(self, wrong: BoolArray, frames: Int64Array) -> None:
        """Adds the invalid vertices `[frames, verts]` of a block with these frame numbers `[frames]`."""
        if self.frame is None and wrong.any():
            row, vertex = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            self.frame, self.vertex = int(frames[row]), int(vertex)
        self.verts += int(np.count_nonzero(wrong))
        self.frames += int(np.count_nonzero(wrong.any(axis=1)))


@dataclass
class Sweep:
    """Sweeps the frames of one cache.

    Attributes:
        shot: name of the shot.
        cache: its frames.
        rest: neutral pose of the part `[verts, 3]`; None if none of this size is known, to use the first valid frame.
        openings: pairs to measure; empty for meshes of another size.
        head_limit: accepted head motion, in cm; None if the part moves freely.
        trace: stores the motion of each frame; None to skip it.
        sample: samples some of the frames; None to skip it.
        receive: called with the sample after the last frame.
    """

    shot: str
    cache: PointCache
    rest: Float32Array | None
    openings: tuple[Openings, ...] = ()
    head_limit: float | None = None
    trace: MotionTrace | None = None
    sample: FrameSample | None = None
    receive: Callable[[SampledShot], None] | None = None
    _not_finite: _Bad = field(default_factory=_Bad)
    _far: _Bad = field(default_factory=_Bad)
    _moved: int = 0
    _steady: float = math.inf
    _worst: tuple[float, float, int] = (0.0, 0.0, 0)  # size in cm, degrees, frame

    def feed(self, block: Float32Array, start: int) -> None:
        """Checks one block of frames `[frames, verts, 3]` that starts with frame `start`."""
        frames = np.arange(start, start + len(block))
        # The extremes, found in one pass, usually show that all values are valid.
        low, high = float(block.min()), float(block.max())
        if not -LARGEST <= low <= high <= LARGEST:
            wrong = ~np.all(within_reason(block), axis=2)
            self._not_finite.note(wrong, frames)
            keep = ~wrong.any(axis=1)
            block, frames = block[keep], frames[keep]
        if len(block) and self.rest is None:
            self.rest = block[0].copy()
        if len(block) and self.rest is not None:
            self._feed_finite(block, frames, low, high, self.rest)

    def _feed_finite(
        self, block: Float32Array, frames: Int64Array, low: float, high: float, rest: Float32Array
    ) -> None:
        reach = _FAR * max(float(np.ptp(rest, axis=0).max()), 1.0)
        sampled, numbers = block, frames
        if not (rest.min() - reach <= low and high <= rest.max() + reach):
            away = np.maximum(rest.min(axis=0) - block, block - rest.max(axis=0))
            wrong = np.any(away > reach, axis=2)
            self._far.note(wrong, frames)
            keep = ~wrong.any(axis=1)
            # Frames that are displaced as a whole indicate another unit or position; single damaged vertices do not.
            whole = keep | (wrong.mean(axis=1) > _WHOLE)
            sampled, numbers = block[whole], frames[whole]
            block, frames = block[keep], frames[keep]
        if self.sample is not None and len(sampled):
            self.sample.feed(sampled, numbers)
        if not len(block):
            return
        for openings in self.openings:
            openings.feed(block)
        if self.trace is not None:
            self.trace.feed(block, frames, rest)
        if self.head_limit is not None and len(rest) >= _FEWEST_POINTS:
            self._feed_head(block, frames, rest, self.head_limit)

    def _feed_head(self, block: Float32Array, frames: Int64Array, rest: Float32Array, limit: float) -> None:
        points = sample_points(len(rest))
        motion = rigid_motion(block[:, points], rest[points])
        self._steady = min(self._steady, float(motion.size.min()))
        sizes = np.where(motion.size > np.maximum(limit, motion.by_chance), motion.size, 0)
        self._moved += int(np.count_nonzero(sizes))
        row = int(np.argmax(sizes))
        if sizes[row] > self._worst[0]:
            self._worst = float(sizes[row]), float(motion.angle[row]), int(frames[row])

    def close(self) -> None:
        """Passes on the sample after the last frame."""
        taken = None if self.sample is None else self.sample.take()
        if taken is not None and self.receive is not None:
            self.receive(taken)

    def report(self, findings: Findings, *, explained: bool = False) -> None:
        """Reports the faults of the frames.

        Args:
            findings: receives the findings.
            explained: whether another report explains that the frames deviate from the neutral pose.
        """
        place = {"file": self.cache.path, "shot": self.shot}
        for bad, code, what in (
            (self._not_finite, "not-finite", NOT_FINITE),
            (self._far, "far-away", f"more than {_FAR:g} sizes of the mesh away from it"),
        ):
            if bad.frame is not None and not (explained and bad is self._far):
                findings.error(
                    code,
                    f"{bad.verts} positions in {bad.frames} of {self.cache.num_frames} frames are {what}; the first "
                    f"is vertex {bad.vertex} of frame {bad.frame}",
                    "Export the shot once more; look at that frame in the animation package if it stays.",
                    frame=bad.frame,
                    vertex=bad.vertex,
                    **place,
                )
        if not explained and self._moved and self.head_limit is not None:
            size, angle, frame = self._worst
            findings.error("head-motion", self._head_message(size, angle, frame), _STABILISE, frame=frame, **place)

    def _head_message(self, size: float, angle: float, frame: int) -> str:
        message = (
            f"the head as a whole moves: by {size:.2f} cm on average over the face (turned by {angle:.1f} degrees) in "
            f"frame {frame}; {self._moved} of {self.cache.num_frames} frames exceed {self.head_limit:g} cm"
        )
        if self._moved == self.cache.num_frames and self._steady > size / 2:
            message += "; no frame is in place, so the neutral pose may lie elsewhere"
        return message


def sweep_all(jobs: Collection[Sweep], findings: Findings) -> None:
    """Runs all sweeps with one progress bar.

    A file that becomes unreadable meanwhile is reported and skipped.
    """
    total = sum(sweep.cache.num_frames for sweep in jobs)
    buffer = np.empty(
        max((_block_frames(sweep.cache) * sweep.cache.num_verts * 3 for sweep in jobs), default=0), np.float32
    )
    unreadable: set[int] = set()
    for sweep, start, stop in track(_blocks(jobs), total, "checking frames", weigh=lambda item: item[2] - item[1]):
        if id(sweep) in unreadable:
            continue
        verts = sweep.cache.num_verts
        out = buffer[: (stop - start) * verts * 3].reshape(-1, verts, 3)
        read = functools.partial(sweep.cache.read, start, stop, out)
        block = findings.attempt(read, "cache-unreadable", sweep.cache.path, sweep.shot)
        if block is None:
            unreadable.add(id(sweep))
        else:
            sweep.feed(block, start)
            if stop == sweep.cache.num_frames:
                sweep.close()


def _block_frames(cache: PointCache) -> int:
    return min(cache.num_frames, max(1, _BLOCK_BYTES // (cache.num_verts * 12)))


def _blocks(sweeps: Iterable[Sweep]) -> Iterator[tuple[Sweep, int, int]]:
    for sweep in sweeps:
        size = _block_frames(sweep.cache)
        for start in range(0, sweep.cache.num_frames, size):
            yield sweep, start, min(start + size, sweep.cache.num_frames)
