"""Opens every animation cache of an actor and compares their headers; reads no frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audio2face.dataset.actor import TONGUE_PATHS, ActorDataset
from audio2face.dataset.checks.report import Findings
from audio2face.dataset.shots import LEAST_CLIP_SECONDS, CacheFolder
from audio2face.errors import UserError, is_identifier
from audio2face.geometry import PointCache

_FEW_FRAMES = 2  # a difference this small is common in exported ranges, and training trims it
_SHORTEST_SECONDS = 1.0
_LATE_FRAMES = 1.5
_FEWEST_STARTS, _MOST_STARTS = 3, 2 / 3  # shots needed to establish a common start


@dataclass(frozen=True)
class ShotCaches:
    """The opened caches of one shot; None for a missing or unreadable one.

    Attributes:
        name: name of the shot.
        skin: animation of the skin.
        tongue: animation of the tongue.
    """

    name: str
    skin: PointCache | None
    tongue: PointCache | None


def list_shots(dataset: ActorDataset, findings: Findings) -> tuple[str, ...]:
    """Lists the shots of the actor; reports a missing folder, and entries that are no shots."""
    root = dataset.paths["SKIN_CACHE_ROOT"]
    if not root.is_dir():
        remedy = "Correct SKIN_CACHE_ROOT in config_dataset.py, or put the dataset there."
        findings.error("shots-missing", "there is no such folder", remedy, file=root)
        return ()
    shots = findings.attempt(lambda: dataset.shot_names, "shots-missing", root)
    if shots is None:
        return ()
    if not shots:
        findings.error("shots-missing", "holds no shot", "Put each cache into <shot>/<shot>.npy.", file=root)
    for stray in dataset.stray_entries:
        _report_stray(dataset, stray, findings)
    return shots


def _report_stray(dataset: ActorDataset, stray: Path, findings: Findings) -> None:
    name = stray.name
    if not is_identifier(name):
        findings.error(
            "shot-name",
            f"the name {name!a} is not allowed, so this does not count as a shot",
            "Use letters, digits, '_', '-' and '.' only, and rename the shot everywhere.",
            file=stray,
        )
    elif stray.is_dir() and dataset.has_recording(name):
        try:
            remedy = f"Rename {dataset.skin_caches.find(name).path.name} as its folder."
        except UserError as error:
            remedy = f"{error.hint} Or remove folder and recording."
        findings.error(
            "cache-missing",
            "this shot has a recording but no cache of its own name",
            remedy,
            file=stray,
            shot=name,
        )
    else:
        findings.warning(
            "stray-entry",
            "is not a shot: it is not a folder, or holds no cache of its own name",
            "Remove it, or name the cache as its folder.",
            file=stray,
        )


def open_caches(dataset: ActorDataset, shots: Iterable[str], findings: Findings) -> tuple[ShotCaches, ...]:
    """Opens all caches; reports unreadable and duplicate files, and lengths that disagree."""
    _check_tongue_paths(dataset, findings)
    tongues = dataset.tongue_caches
    if tongues is not None and not tongues.root.is_dir():
        remedy = "Correct TONGUE_CACHE_ROOT in config_dataset.py, or remove the tongue."
        findings.error("cache-missing", "there is no such folder", remedy, file=tongues.root)
        tongues = None
    opened = []
    for name in shots:
        skin = _open(dataset.skin_caches, name, findings)
        tongue = _open(tongues, name, findings) if tongues else None
        opened.append(ShotCaches(name, skin, tongue))
        if skin and tongue:
            check_frame_count(tongue.num_frames, skin.num_frames, "tongue", tongue.path, name, findings)
        if skin and skin.num_frames < _SHORTEST_SECONDS * dataset.fps:
            findings.warning(
                "shot-short",
                f"lasts {skin.num_frames} frames, under a second",
                "Record shots of 3 to 30 seconds; a clip must be longer than the network's window.",
                file=skin.path,
                shot=name,
            )
    lengths = [shot.skin.num_frames / dataset.fps for shot in opened if shot.skin is not None]
    if lengths and max(lengths) < LEAST_CLIP_SECONDS:
        findings.error(
            "shots-short",
            f"the longest shot lasts {max(lengths):.2f} s, and training skips clips of less than "
            f"{LEAST_CLIP_SECONDS:g} s: nothing is left to train on",
            "Record shots of 3 to 30 seconds, and check CACHE_FPS.",
            file=dataset.paths["SKIN_CACHE_ROOT"],
        )
    _check_starts(opened, dataset.fps, findings)
    return tuple(opened)


def _check_starts(shots: list[ShotCaches], fps: float, findings: Findings) -> None:
    """Compares the start times stated by caches: of skin and tongue, and of a shot with most others."""
    for shot in shots:
        times = [None if cache is None else cache.start_time for cache in (shot.skin, shot.tongue)]
        if shot.tongue is not None and None not in times and abs(times[0] - times[1]) > _LATE_FRAMES / fps:  # type: ignore[operator]
            findings.error(
                "cache-start",
                f"states that the tongue starts at {times[1]:.3f} s, the skin at {times[0]:.3f} s",
                "Export all parts of a shot over the same range of frames.",
                file=shot.tongue.path,
                shot=shot.name,
            )
    stated = {shot: None if shot.skin is None else shot.skin.start_time for shot in shots}
    starts = {shot: start for shot, start in stated.items() if start is not None}
    common = Counter(round(start * fps) for start in starts.values()).most_common(1)
    if not common or len(starts) < _FEWEST_STARTS or common[0][1] < _MOST_STARTS * len(starts):
        return
    for shot, start in starts.items():
        if shot.skin is not None and abs(start * fps - common[0][0]) > _LATE_FRAMES:
            findings.warning(
                "cache-start",
                f"states that it starts at {start:.3f} s (frame {start * fps:.0f}); most others start at frame "
                f"{common[0][0]}",
                "Check that its recording starts at the same time: the first frame goes with the first sample.",
                file=shot.skin.path,
                shot=shot.name,
            )


def check_frame_count(found: int, skin: int, part: str, file: Path, shot: str, findings: Findings) -> None:
    """Compares the length of a part's motion with the skin's, in frames."""
    if found == skin:
        return
    message = f"{part}: {found} frames where the skin has {skin}"
    remedy = "Export all parts of a shot over the same range of frames."
    if abs(found - skin) <= _FEW_FRAMES:
        findings.warning("frame-count", message, f"{remedy} Training trims the longer one.", file=file, shot=shot)
    else:
        findings.error("frame-count", message, remedy, file=file, shot=shot)


def agree_on_vertices(
    caches: Iterable[PointCache | None],
    shots: Iterable[str],
    neutral_verts: int | None,
    neutral_file: Path | None,
    findings: Findings,
) -> int | None:
    """Returns the vertex count of a part: that of most shots, of equals the neutral's; reports deviating shots.

    Args:
        caches: the part's cache of each shot.
        shots: names of the shots.
        neutral_verts: vertices of the part's neutral pose; None if missing.
        neutral_file: file of the neutral pose.
        findings: receives the findings.
    """
    opened = [(shot, cache) for shot, cache in zip(shots, caches, strict=True) if cache is not None]
    counts = Counter(cache.num_verts for _, cache in opened)
    if not counts:
        return neutral_verts
    expected = max(counts, key=lambda verts: (counts[verts], verts == neutral_verts))
    for shot, cache in opened:
        if cache.num_verts != expected:
            findings.error(
                "vertex-count",
                f"has {cache.num_verts} vertices, the other shots have {expected}",
                "Export every shot from the same mesh.",
                file=cache.path,
                shot=shot,
            )
    if neutral_verts not in (None, expected):
        findings.error(
            "pose-shape",
            f"has {neutral_verts} vertices, the caches have {expected}",
            "Export the neutral pose from the mesh of the caches.",
            file=neutral_file,
        )
    return expected


def _check_tongue_paths(dataset: ActorDataset, findings: Findings) -> None:
    given = [name for name in TONGUE_PATHS if name in dataset.paths]
    if given and not dataset.has_tongue:
        lacking = ", ".join(name for name in TONGUE_PATHS if name not in dataset.paths)
        findings.warning(
            "tongue-incomplete",
            f"{', '.join(given)} given without {lacking}: the tongue is ignored",
            "Give all three, or none.",
            file=dataset.paths[given[0]],
        )


def _open(caches: CacheFolder, shot: str, findings: Findings) -> PointCache | None:
    try:
        found = caches.find(shot)
    except UserError as error:
        findings.error(
            "cache-missing", error.problem, error.hint or "Export the shot's cache.", file=error.path, shot=shot
        )
        return None
    if found.duplicates:
        findings.warning(
            "cache-duplicate",
            f"{found.path.name} is used, and {', '.join(path.name for path in found.duplicates)} beside it is not",
            "Remove the caches that are out of date.",
            file=found.path,
            shot=shot,
        )
    cache = findings.attempt(lambda: caches.open(shot), "cache-unreadable", found.path, shot)
    for note in cache.warnings if cache else ():
        findings.warning(
            "cache-odd", note, "Export the cache once more if this is unintended.", file=found.path, shot=shot
        )
    return cache
