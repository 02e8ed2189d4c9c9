"""Checks that all shots of a part show the same mesh, by comparison with the neutral pose or with the other shots.

Each shot is represented by the mean of a sample of its frames. Shots that agree form a group, which accumulates their
motion; only a few groups are kept, so that memory is independent of the number of shots.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.dataset.checks.face_frame import FaceMotion
from audio2face.dataset.checks.pose_match import Kind, Mismatch, Reference, changes_within, compare
from audio2face.dataset.checks.report import Findings
from audio2face.dataset.checks.samples import SampledShot
from audio2face.types import AnyArray, Float32Array, Float64Array

_MOST_GROUPS = 4
_MOST_WAITING = 3
_PROBED = 150  # vertices whose motion is compared with that of their neighbours
_TOLERATED = (Kind.TURNED, Kind.SHAPE)  # motion of head or face: checked frame by frame, or intended


_DISCONTINUITIES = (Kind.ORDER, Kind.MESH, Kind.UNIT, Kind.AXES, Kind.MIRRORED)


@dataclass(frozen=True)
class ShotPose:
    """Statistics of a shot.

    Attributes:
        shot: name of the shot.
        path: file of its cache.
        mean: mean pose of the sample `[verts, 3]`.
        motion: mean absolute deviation from it `[verts, 3]`.
        error: standard error of the mean, per vertex `[verts]`.
        sample: the frames.
    """

    shot: str
    path: Path
    mean: Float64Array
    motion: Float32Array
    error: Float64Array
    sample: SampledShot

    @classmethod
    def from_sample(cls, shot: str, path: Path, sample: SampledShot) -> ShotPose:
        """Averages a sample, without the head's motion."""
        frames = sample.steadied()
        mean = frames.mean(axis=0, dtype=np.float64)
        # From the mean absolute deviation, of a normal distribution; frames close in time are not independent.
        around = frames - mean.astype(np.float32)
        motion = np.abs(around, out=around).mean(axis=0)
        error = 1.25 * np.linalg.norm(motion, axis=1).astype(np.float64) / np.sqrt(len(frames))
        return cls(shot, path, mean, motion, error, sample)

    def is_one_mesh(self) -> bool:
        """Whether both halves of the shot show the same mesh, by a quick test."""
        halves = [half.frames.mean(axis=0) for half in self.sample.halves()]
        reference = Reference.from_points(halves[0], "its first half") if halves else None
        return reference is None or not changes_within(reference, halves[0], halves[1], self.error)


@dataclass
class Group:
    """Shots of the same mesh.

    Attributes:
        reference: a pose of the mesh.
        error: its standard error `[verts]`.
        shots: the names of the shots, with the files of their caches.
        mismatch: difference from the first group; None for the first.
    """

    reference: Reference
    error: Float64Array
    mismatch: Mismatch | None = None
    shots: list[tuple[str, Path]] = field(default_factory=list)
    _frames: int = 0
    _pose: Any = 0.0
    _motion: Any = 0.0
    _products: float = 0.0
    _strengths: float = 0.0

    def add(self, pose: ShotPose) -> None:
        """Adds a shot and its motion."""
        self.shots.append((pose.shot, pose.path))
        frames = pose.sample.frames
        self._frames += len(frames)
        self._pose = self._pose + pose.mean * len(frames)
        self._motion = self._motion + pose.motion.astype(np.float64) * len(frames)
        verts = np.unique(np.linspace(0, frames.shape[1] - 1, _PROBED).astype(np.int64))
        mean = pose.mean.astype(np.float32)
        near = self.reference.neighbours[verts, :3]
        here, there = (frames[:, verts] - mean[verts])[:, :, None], frames[:, near] - mean[near]
        self._products += float((here * there).sum())
        self._strengths += float((np.linalg.norm(here, axis=3) * np.linalg.norm(there, axis=3)).sum())

    def motion(self, neutral: Float32Array | None) -> FaceMotion | None:
        """Returns the motion of the part over the shots of this group; None if they hold no usable mesh."""
        if not self._frames:
            return None
        mean = self._pose / self._frames
        rest = Reference.from_points(mean, "mean pose")
        if rest is None:
            return None
        shift = None if neutral is None or neutral.shape != mean.shape else mean - neutral
        coherence = self._products / self._strengths if self._strengths > 0 else 0.0
        return FaceMotion(rest, self._motion / self._frames, shift, coherence)


@dataclass
class Agreement:
    """Compares the shots of one part.

    Attributes:
        neutral: neutral pose `[verts, 3]`; None if missing.
        least_shift: shift of a shot that is tolerated, in cm.
        odd: reported shots.
        explained: these, and those that differ from a reported neutral pose.
        neutral_reported: whether the neutral pose was reported.
    """

    neutral: Float32Array | None
    least_shift: float
    odd: set[str] = field(default_factory=set)
    explained: set[str] = field(default_factory=set)
    neutral_reported: bool = False
    _groups: list[Group] = field(default_factory=list)
    _waiting: list[ShotPose] = field(default_factory=list)
    _odd: list[tuple[str, Path, Mismatch]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Starts with the group of the neutral pose."""
        if self.neutral is not None:
            self._begin(self.neutral, np.zeros(len(self.neutral)), "the neutral pose")

    def add(self, shot: str, path: Path, sample: SampledShot) -> None:
        """Compares one shot with the groups so far."""
        pose = ShotPose.from_sample(shot, path, sample)
        if self._groups or len(self._waiting) == _MOST_WAITING or pose.is_one_mesh():
            self._add(pose)
        else:
            self._waiting.append(pose)

    def finish(self) -> None:
        """Compares the postponed shots, once all others are known."""
        waiting, self._waiting = self._waiting, []
        for pose in waiting:
            self._add(pose)

    def _add(self, pose: ShotPose) -> None:
        shot, path = pose.shot, pose.path
        if not self._groups and self._begin(pose.mean, pose.error, f"shot {shot!r}") is None:
            return
        first: Mismatch | None = None
        for group in self._groups:
            mismatch = self._compare(group, pose)
            if mismatch is None:
                group.add(pose)
                return
            first = first or mismatch
        new = self._begin(pose.mean, pose.error, f"shot {shot!r}") if len(self._groups) < _MOST_GROUPS else None
        if new is not None:
            new.mismatch = first
            new.add(pose)
        elif first is not None:
            self._odd.append((shot, path, first))

    def main_group(self) -> Group | None:
        """The group with the most shots; of equals the earlier one."""
        return max(self._groups, key=lambda group: len(group.shots), default=None)

    @property
    def neutral_agrees(self) -> bool:
        """Whether there is a neutral pose, and most shots agree with it."""
        return self.neutral is not None and bool(self._groups) and self.main_group() is self._groups[0]

    @property
    def first_is_odd(self) -> bool:
        """Whether there is no neutral pose, and the first shot was reported."""
        return self.neutral is None and bool(self._groups) and self._groups[0].shots[0][0] in self.odd

    def report(self, neutral_path: Path | None, findings: Findings) -> None:
        """Reports shots that differ from most others, and a neutral pose that differs from most shots."""
        main = self.main_group()
        if main is None:
            return
        first = self._groups[0]
        against_neutral = self.neutral is not None and main is not first
        if against_neutral and (len(main.shots) > 1 or not first.shots):
            self._report_neutral(main, neutral_path, findings)
        for group in self._groups:
            if group is main:
                continue
            mismatch = group.mismatch if main is first else compare(main.reference, group.reference.points, main.error)
            for shot, path in group.shots if mismatch else ():
                self._report_shot(shot, path, mismatch, findings)
        for shot, path, mismatch in self._odd:
            self._report_shot(shot, path, mismatch, findings)

    def _begin(self, points: AnyArray, error: Float64Array, name: str) -> Group | None:
        reference = Reference.from_points(points, name)
        if reference is None:
            return None
        self._groups.append(Group(reference, error))
        return self._groups[-1]

    def _compare(self, group: Group, pose: ShotPose) -> Mismatch | None:
        mismatch = compare(group.reference, pose.mean, pose.error + group.error)
        if mismatch is None or mismatch.kind in _TOLERATED:
            return self._compare_halves(group, pose)
        far = mismatch.distance > self.least_shift and pose.sample.stands_at(mismatch.distance)
        return None if mismatch.kind is Kind.MOVED and not far else mismatch

    @staticmethod
    def _compare_halves(group: Group, pose: ShotPose) -> Mismatch | None:
        """Returns the mismatch of only a part of the shot."""
        halves = pose.sample.halves()
        means = [half.frames.mean(axis=0) for half in halves]
        if not means or not changes_within(group.reference, means[0], means[1], pose.error):
            return None
        for half, when in zip(halves, ("first", "second"), strict=True):
            part = ShotPose.from_sample(pose.shot, pose.path, half)
            mismatch = compare(group.reference, part.mean, part.error + group.error)
            if mismatch is not None and mismatch.kind in _DISCONTINUITIES:
                return replace(mismatch, message=f"{mismatch.message} (in the {when} half of the shot)")
        return None

    def _report_neutral(self, main: Group, path: Path | None, findings: Findings) -> None:
        count = sum(len(group.shots) for group in self._groups) + len(self._odd)
        assert self.neutral is not None
        mismatch = compare(main.reference, self.neutral, main.error)
        if mismatch is None:
            return
        self.explained |= {shot for shot, _ in main.shots}
        self.neutral_reported = True
        findings.error(
            CODES[mismatch.kind],
            f"{mismatch.message} ({len(main.shots)} of {count} shots agree with each other, not with this pose)",
            mismatch.remedy,
            file=path,
            vertex=mismatch.vertex,
        )

    def _report_shot(self, shot: str, path: Path, mismatch: Mismatch | None, findings: Findings) -> None:
        if mismatch is not None:
            self.explained.add(shot)
            self.odd.add(shot)
            findings.error(
                CODES[mismatch.kind], mismatch.message, mismatch.remedy, file=path, shot=shot, vertex=mismatch.vertex
            )


CODES = {
    Kind.UNIT: "units",
    Kind.AXES: "axes",
    Kind.MIRRORED: "axes",
    Kind.MOVED: "moved",
    Kind.TURNED: "axes",
    Kind.ORDER: "vertex-order",
    Kind.MESH: "vertex-order",
    Kind.SHAPE: "shape",
}
