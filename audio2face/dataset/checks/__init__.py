"""The dataset checks: report all faults of an actor's raw data at once, each with a fix.

Each module checks one kind of data and adds findings; none stops at the first fault. Faults that would spoil training
are errors; faults that a later stage repairs, or that only reduce quality, are warnings. A shot without jaw or eye data
is an error: training would continue, and teach the network a jaw that is static while the lips move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress

import numpy as np

from audio2face.audio import AudioHeader
from audio2face.config_base.types import SkinBasis
from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks import lists, static
from audio2face.dataset.checks.blendshapes import check_blendshapes
from audio2face.dataset.checks.caches import ShotCaches, agree_on_vertices, list_shots, open_caches
from audio2face.dataset.checks.channels import check_channels
from audio2face.dataset.checks.comparison import Comparison, compare_actors
from audio2face.dataset.checks.emotions import check_emotions, check_extras, check_test_set
from audio2face.dataset.checks.motion import MotionTrace, check_motion
from audio2face.dataset.checks.recordings import check_recordings
from audio2face.dataset.checks.report import CheckReport, Finding, Findings, Severity, Summary
from audio2face.dataset.checks.samples import frames_per_shot
from audio2face.dataset.checks.static import Static
from audio2face.dataset.checks.sweep import Openings, Sweep, sweep_all
from audio2face.dataset.checks.sync import check_sync
from audio2face.errors import UserError
from audio2face.geometry import PointCache
from audio2face.types import Float32Array

__all__ = ["HEAD_MOTION_LIMIT", "CheckReport", "Finding", "Severity", "Summary", "check_actor", "compare_actors"]

# cm: stabilised captures stay within a few millimetres; speech alone imitates up to 0.35 where only the lower half of a
# face was captured.
HEAD_MOTION_LIMIT = 0.5


@np.errstate(over="ignore", invalid="ignore")  # damaged numbers near the limits: the checks report their effects
def check_actor(
    dataset: ActorDataset, head_motion_limit: float = HEAD_MOTION_LIMIT, skin_basis: SkinBasis = "pca"
) -> CheckReport:
    """Checks all raw data of one actor; every frame is read once, in blocks.

    Args:
        dataset: the actor's data.
        head_motion_limit: largest accepted rigid displacement of the face from the neutral pose, in centimetres.
        skin_basis: SKIN_BASIS of preprocessing, which may need the blend shapes of the skin.
    """
    findings = Findings()
    shots = list_shots(dataset, findings)
    caches = open_caches(dataset, shots, findings)
    still = static.read_static(dataset, findings)
    verts = _agree(dataset, caches, still, findings)
    static.check_poses(dataset, still, verts["skin"], verts["tongue"], findings)
    lists.check_ranges(dataset, still, verts["skin"], verts["tongue"], findings)
    measured = lists.openings(still, verts["skin"])
    comparison = Comparison.start(still, verts, head_motion_limit)
    sweeps = _sweeps(caches, still, verts, measured, head_motion_limit, comparison)
    sweep_all(sweeps, findings)
    headers, sounds = check_recordings(dataset, caches, findings)
    frame = comparison.report(dataset, still, findings)
    for sweep in sweeps:
        sweep.report(findings, explained=frame.reported or comparison.explains(sweep.shot))
    if not (frame.reported or comparison.neutral_reported):
        lists.check_openings(dataset, measured, findings)
    traces = {sweep.shot: sweep.trace for sweep in sweeps if sweep.trace is not None}
    traces = {shot: trace for shot, trace in traces.items() if shot not in comparison.odd}
    if frame.factor == 1:  # its limits are centimetres
        seen = {shot: trace for shot, trace in traces.items() if np.isfinite(trace.nearest)}
        check_motion(dataset, seen, sounds, findings, neutral=not comparison.neutral_reported)
    check_sync(dataset, traces, sounds, findings)
    check_channels(dataset, caches, findings)
    check_blendshapes(dataset, verts, findings, skin_basis)
    check_extras(dataset, shots, findings)
    check_test_set(dataset, shots, findings)
    emotions = check_emotions(dataset, shots, findings)
    return CheckReport(dataset.actor, findings.sorted(), _summary(dataset, caches, verts, emotions, headers))


def _agree(
    dataset: ActorDataset, caches: tuple[ShotCaches, ...], still: Static, findings: Findings
) -> dict[str, int | None]:
    """Returns the vertices of skin and tongue."""
    shots = [shot.name for shot in caches]
    skin, tongue = still.skin_neutral, still.tongue_neutral
    return {
        "skin": agree_on_vertices(
            [shot.skin for shot in caches],
            shots,
            None if skin is None else len(skin),
            dataset.paths.get("SKIN_NEUTRAL_FPATH"),
            findings,
        ),
        "tongue": agree_on_vertices(
            [shot.tongue for shot in caches],
            shots,
            None if tongue is None else len(tongue),
            dataset.paths.get("TONGUE_NEUTRAL_FPATH"),
            findings,
        ),
    }


def _sweeps(
    caches: Iterable[ShotCaches],
    still: Static,
    verts: Mapping[str, int | None],
    measured: Mapping[str, Openings],
    head_motion_limit: float,
    comparison: Comparison,
) -> list[Sweep]:
    """Sweeps every opened cache once; without a neutral pose, the first frame of the first shot is used."""
    sweeps = []
    shots = tuple(caches)
    most = frames_per_shot(len(shots))
    rest = still.skin_neutral
    lips = None if still.lip_dist is None else still.lip_dist.all()
    for shot in shots:
        if shot.skin is not None:
            usual = shot.skin.num_verts == verts["skin"]
            if rest is None and usual:
                rest = _first_frame(shot.skin)
            same = rest is not None and len(rest) == shot.skin.num_verts
            sweep = Sweep(
                shot.name,
                shot.skin,
                rest if same else None,
                tuple(measured.values()) if usual else (),
                head_motion_limit,
                MotionTrace.start(shot.skin, lips) if usual else None,
            )
            sweeps.append(comparison.sampled(sweep, "skin", most) if usual else sweep)
        if shot.tongue is not None:
            neutral = still.tongue_neutral
            same = neutral is not None and len(neutral) == shot.tongue.num_verts
            sweep = Sweep(shot.name, shot.tongue, neutral if same else None)
            usual = shot.tongue.num_verts == verts["tongue"]
            sweeps.append(comparison.sampled(sweep, "tongue", most) if usual else sweep)
    return sweeps


def _first_frame(cache: PointCache) -> Float32Array | None:
    """Returns the first frame `[verts, 3]` if it is readable and finite; the sweep reports other frames."""
    with suppress(UserError):
        frame = cache[0]
        return frame if static.within_reason(frame).all() else None
    return None


def _summary(
    dataset: ActorDataset,
    caches: Iterable[ShotCaches],
    verts: Mapping[str, int | None],
    emotions: Mapping[str, str],
    headers: Mapping[str, AudioHeader],
) -> Summary:
    frames = {shot.name: shot.skin.num_frames for shot in caches if shot.skin is not None}
    minutes = dict.fromkeys(sorted(emotions[shot] for shot in frames), 0.0)
    for shot, count in frames.items():
        minutes[emotions[shot]] += count / dataset.fps / 60
    return Summary(
        num_shots=len(emotions),
        num_frames=sum(frames.values()),
        fps=dataset.fps,
        num_verts_skin=verts["skin"],
        num_verts_tongue=verts["tongue"],
        minutes_per_emotion=minutes,
        shots_per_emotion=dict(sorted(Counter(emotions.values()).items())),
        shots_per_samplerate=dict(sorted(Counter(header.samplerate for header in headers.values()).items())),
    )
