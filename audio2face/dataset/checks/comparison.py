"""Compares the meshes of several actors, of the shots of one actor, and of all parts with the skin."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.agreement import Agreement
from audio2face.dataset.checks.orientation import SkinFrame, check_skin_frame
from audio2face.dataset.checks.parts import Skin, check_parts
from audio2face.dataset.checks.report import CheckReport, Finding, Findings, Severity
from audio2face.dataset.checks.samples import FrameSample, SampledShot, Tracks
from audio2face.dataset.checks.static import Static
from audio2face.dataset.checks.sweep import Sweep


def compare_actors(reports: Sequence[CheckReport]) -> list[CheckReport]:
    """Adds a warning to each actor whose meshes have other vertex counts than the first actor's.

    Args:
        reports: reports of the actors, in order.
    """
    compared = list(reports[:1])
    for report in reports[1:]:
        first = reports[0]
        new = [
            Finding(
                Severity.WARNING,
                "actors-differ",
                f"{report.actor} has {mine} {part} vertices, {first.actor} has {other}: one network cannot learn both",
                "Export all actors of a network with one topology, or train them separately.",
            )
            for part, mine, other in (
                ("skin", report.summary.num_verts_skin, first.summary.num_verts_skin),
                ("tongue", report.summary.num_verts_tongue, first.summary.num_verts_tongue),
            )
            if None not in (mine, other) and mine != other
        ]
        compared.append(replace(report, findings=(*report.findings, *new)))
    return compared


@dataclass(frozen=True)
class _Part:
    """Skin or tongue.

    Attributes:
        agreement: compares the shots with each other and with the neutral pose.
        tracks: positions of some vertices.
    """

    agreement: Agreement
    tracks: Tracks

    @classmethod
    def start(cls, still: Static, part: str, num_verts: int | None, least_shift: float) -> _Part:
        """Starts with the neutral pose if it has the vertices of the caches."""
        neutral = still.skin_neutral if part == "skin" else still.tongue_neutral
        fits = neutral is not None and len(neutral) == num_verts
        tracks = Tracks.spread(num_verts or 1)
        rigid = None if part == "skin" or still.tongue_rigid is None else np.unique(still.tongue_rigid)
        if rigid is not None and rigid[-1] < (num_verts or 0):
            tracks = Tracks(rigid)
        return cls(Agreement(neutral if fits else None, least_shift), tracks)

    def add(self, shot: str, path: Path, sample: SampledShot) -> None:
        """Adds some frames of one shot."""
        self.agreement.add(shot, path, sample)
        self.tracks.add(shot, sample)


@dataclass(frozen=True)
class Comparison:
    """Compares the shots of skin and tongue, and all parts with the skin.

    Attributes:
        parts: "skin" and "tongue".
    """

    parts: Mapping[str, _Part]

    @classmethod
    def start(cls, still: Static, verts: Mapping[str, int | None], least_shift: float) -> Comparison:
        """Starts with the neutral poses.

        Args:
            still: the actor's data besides animation.
            verts: vertices of "skin" and "tongue"; None if unknown.
            least_shift: shift of a shot from the neutral pose that is tolerated, in cm.
        """
        return cls({part: _Part.start(still, part, verts[part], least_shift) for part in ("skin", "tongue")})

    def sampled(self, sweep: Sweep, part: str, most: int) -> Sweep:
        """Configures the sweep over a cache of a part to sample up to `most` of its frames for comparison."""
        return replace(
            sweep,
            sample=FrameSample(sweep.cache.num_frames, most),
            receive=functools.partial(self.parts[part].add, sweep.shot, sweep.cache.path),
        )

    def explains(self, shot: str) -> bool:
        """Whether a report explains that a shot deviates from the neutral pose, so that it is not head motion."""
        agreements = [part.agreement for part in self.parts.values()]
        # Without a neutral pose, the first shot serves as the neutral pose.
        return any(shot in agreement.explained or agreement.first_is_odd for agreement in agreements)

    @property
    def odd(self) -> set[str]:
        """Shots whose skin differs from that of most others."""
        return self.parts["skin"].agreement.odd

    @property
    def neutral_reported(self) -> bool:
        """Whether the neutral pose of the skin was reported."""
        return self.parts["skin"].agreement.neutral_reported

    def report(self, dataset: ActorDataset, still: Static, findings: Findings) -> SkinFrame:
        """Reports shots and parts of another mesh, unit, position or vertex order, and unit and axes of the whole."""
        skin, tongue = self.parts["skin"].agreement, self.parts["tongue"].agreement
        for agreement in (skin, tongue):
            agreement.finish()
        skin_path = dataset.paths.get("SKIN_NEUTRAL_FPATH")
        group, tongue_group = skin.main_group(), tongue.main_group()
        motion = None if group is None else group.motion(still.skin_neutral if skin.neutral_agrees else None)
        frame = check_skin_frame(motion, skin_path or dataset.paths["SKIN_CACHE_ROOT"], findings)
        skin.report(skin_path, findings)
        tongue.report(dataset.paths.get("TONGUE_NEUTRAL_FPATH"), findings)
        odd = skin.odd | tongue.odd
        compared = Skin(
            rest=None if group is None else group.reference,
            tongue=None if tongue_group is None else tongue_group.reference,
            face=frame.face,
            upright=not (frame.reported or frame.doubtful),
            tracks={name: part.tracks.without(odd) for name, part in self.parts.items()},
        )
        check_parts(dataset, still, compared, findings)
        return frame
