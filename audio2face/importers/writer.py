"""Writes takes as a raw data set in the standard layout, take by take; memory holds a block of frames.

A take is written in shots, each file whole or not at all. What a later call finds whole is kept. Files of all shots
together (jaw, eyes, head) are made at the end from those of each take.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from audio2face.audio import read_header
from audio2face.console import LOGGER
from audio2face.dataset.actor import DEFAULT_EMOTION
from audio2face.dataset.layout import EYE_ARCHIVE, JAW_ARCHIVE, ActorGeometry, write_actor_geometry
from audio2face.errors import UserError
from audio2face.geometry import write_cache
from audio2face.geometry.frames import PoseReader, blocks_of
from audio2face.importers.actor import Face, RigFace, posed_on
from audio2face.importers.made import (
    blink_keys,
    find_blinks,
    resting_frame,
    saccades,
    small_eye_motion,
    tongue_of_speech,
)
from audio2face.importers.plan import ShotPlan, plan_shots
from audio2face.importers.record import FOLDER, ImportRecord, TakeRecord, digest_of
from audio2face.importers.recordings import (
    MONO_RATE,
    cut_recording,
    sound_range,
    take_range,
)
from audio2face.importers.shots import ShotRange
from audio2face.importers.take import MeshMotion, Take
from audio2face.io.arrays import Archive
from audio2face.io.atomic import write_npz
from audio2face.types import AnyArray, Float32Array

HEAD_ARCHIVE = "xform/head_motion_all.npz"
"""Archive of all shots: angles of the head, degrees, `[frames, 3]` (yaw, pitch, roll). No stage reads it."""
HEAD_POSITIONS_ARCHIVE = "xform/head_positions_all.npz"
"""Archive of all shots: positions of the head relative to the start of its take, centimetres, `[frames, 3]`."""

_BLOCK_BYTES = 16 << 20
_BLINK_MADE = "the blink that animations add: the example's, too few were captured"
_SACCADES_MADE = "saccades that animations add: the example's, too few were captured"
_SPARE_BYTES = 64 << 20  # of the disk
_JAW, _EYES, _HEAD, _PLACE, _BLINKS, _GAZE = "jaw", "eyes", "head", "place", "blinks", "gaze"


@dataclass
class DatasetWriter:
    """Writes takes into a folder.

    Attributes:
        folder: of the data set.
        face: of all takes.
        record: what is written; kept in the folder.
        made: what of the whole data set was made, not captured; known when it is finished.
    """

    folder: Path
    face: Face
    record: ImportRecord
    made: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path, kind: str, face: Face, fps: Fraction) -> DatasetWriter:
        """Begins a data set, or continues one of the same face and rate.

        Raises:
            UserError: the folder holds something else, or its record is damaged.
        """
        record = ImportRecord.load(folder)
        if record is None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(
                "exists already and was not made by an import",
                path=folder,
                hint="Choose another --name, or move the folder away.",
            )
        if record is not None and record.takes and (record.face, record.fps) != (face.digest, fps):
            what = "another face" if record.face != face.digest else f"{float(record.fps):g} frames per second"
            raise UserError(
                f"holds takes of {what}",
                path=folder,
                hint="All takes of an actor have one mesh and one rate: choose another --name, or remove the folder.",
            )
        return cls(folder, face, record if record is not None else ImportRecord(kind=kind, face=face.digest, fps=fps))

    def missing(self, takes: Sequence[Take]) -> list[Take]:
        """The takes that are not yet written as they are."""
        found = []
        for take in takes:
            done = self.record.takes.get(take.name)
            if done is None or done.digest != digest_of(take, self.face.digest) or not done.is_whole(self.folder):
                found.append(take)
        return found

    def check_space(self, takes: Sequence[Take]) -> None:
        """Refuses takes for which the disk has no room.

        Raises:
            UserError: with what they need.
        """
        needed = sum(4 * self.face.num_values * take.num_frames for take in takes) + _SPARE_BYTES
        place = next(parent for parent in (self.folder, *self.folder.parents) if parent.exists())
        free = shutil.disk_usage(place).free
        if needed > free:
            raise UserError(
                f"{len(takes)} takes need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
                path=self.folder,
                hint="Import fewer takes, or name another disk: A2F_DATASETS_ROOT in .env.",
            )

    def write(self, take: Take) -> Iterator[int]:
        """Writes one take; yields the number of frames of each block that is done, all together those of the take.

        Raises:
            UserError: recording and take do not go together, or a file cannot be written.
        """
        self._remove(take.name)
        plan = plan_shots(take)
        done = take.num_frames - sum(shot.num_frames for shot in plan.shots)
        yield done
        pieces: dict[str, AnyArray] = {}
        names = list(plan.shots_by_name)
        targets = [self.folder / f"audio/{name}.wav" for name in names]
        self.record.save(self.folder)  # a first take that is interrupted leaves a folder that a later call continues
        assert take.audio is not None
        rate = read_header(take.audio).samplerate
        cut_recording(take.audio, [sound_range(take, shot.first, shot.stop, rate) for shot in plan.shots], targets)
        for name, shot in plan.shots_by_name.items():
            meshes, motion = self._motion(take, shot, plan.samples)
            yield from self._write_meshes(name, meshes, float(take.fps))
            pieces |= {f"{part}/{name}": array for part, array in motion.items()}
        self._finish_take(take, plan, pieces)

    def _motion(self, take: Take, shot: ShotRange, samples: Float32Array) -> tuple[MeshMotion, dict[str, AnyArray]]:
        """The meshes of a shot, and its arrays that go into archives of all shots."""
        if take.meshes is not None:
            meshes = _part_of(take.meshes, shot)
        else:
            assert isinstance(self.face, RigFace)
            assert take.weights is not None
            near = None if take.lips_meet is None else take.lips_meet[shot.frames]
            meshes = posed_on(self.face.rig, take.weights[shot.frames], _tongue_of(take, shot, samples), near)
        arrays: dict[str, AnyArray] = {} if meshes.jaw is None else {_JAW: meshes.jaw}
        if take.eyes is not None:
            arrays[_EYES] = take.eyes[shot.frames]
        if take.head is not None:
            arrays[_HEAD] = take.head.angles[shot.frames]
            if take.head.positions is not None:
                arrays[_PLACE] = take.head.positions[shot.frames]
        return meshes, arrays

    def _write_meshes(self, shot: str, meshes: MeshMotion, fps: float) -> Iterator[int]:
        """Writes the caches of a shot; yields the number of frames of each block of the skin."""
        if meshes.tongue is not None:
            path = self.folder / f"cache/tongue/{shot}/{shot}.npy"
            _write_frames(path, meshes.tongue, fps, [])
        done: list[int] = []
        _write_frames(self.folder / f"cache/skin/{shot}/{shot}.npy", meshes.skin, fps, done)
        yield from done

    def _finish_take(self, take: Take, plan: ShotPlan, pieces: dict[str, AnyArray]) -> None:
        """Writes the arrays of a take, and its row in the record: from here on it is whole."""
        fps = float(take.fps)
        if take.weights is not None:
            pieces[_BLINKS] = find_blinks(take.weights, fps)
        if take.eyes is not None:
            pieces[_GAZE] = small_eye_motion(take.eyes, fps)
        archive = self.folder / FOLDER / f"{take.name}.npz"
        write_npz(archive, pieces)
        files = [archive]
        for name in plan.shots_by_name:
            files += [self.folder / f"audio/{name}.wav", *sorted(self.folder.glob(f"cache/*/{name}/{name}.npy"))]
        self.record.takes[take.name] = TakeRecord(
            digest=digest_of(take, self.face.digest),
            source=take.source.name,
            shots={name: shot.num_frames for name, shot in plan.shots_by_name.items()},
            frames=take.num_frames,
            lost=int(np.count_nonzero(take.lost)),
            left_out=take.num_frames - sum(shot.num_frames for shot in plan.shots),
            emotion=take.emotion or DEFAULT_EMOTION,
            made=_made(take, self.face),
            notes=(*take.notes, *plan.notes),
            sounds=dict(plan.sounds),
            files={path.relative_to(self.folder).as_posix(): path.stat().st_size for path in files},
            rest=_rest_of(take, plan),
        )
        self.record.save(self.folder)

    def _remove(self, take: str) -> None:
        """Removes the files of an earlier version of a take."""
        done = self.record.takes.pop(take, None)
        if done is None:
            return
        self.record.save(self.folder)
        for name in done.files:
            path = self.folder / name
            path.unlink(missing_ok=True)
            if path.parent.name in done.shots:
                shutil.rmtree(path.parent, ignore_errors=True)

    def finish(self) -> ActorGeometry:
        """Writes what belongs to no single take: geometry, archives of all shots.

        Raises:
            UserError: a file cannot be written.
        """
        archives = {name: Archive.open(self.folder / FOLDER / f"{name}.npz") for name in sorted(self.record.takes)}
        self._write_archive(archives, _JAW, JAW_ARCHIVE)
        self._write_archive(archives, _EYES, EYE_ARCHIVE)
        self._write_archive(archives, _HEAD, HEAD_ARCHIVE)
        self._write_archive(archives, _PLACE, HEAD_POSITIONS_ARCHIVE)
        blinks = [each.read(_BLINKS) for each in archives.values() if _BLINKS in each.members]
        keys, are_blinks_theirs = blink_keys(np.concatenate([np.zeros((0, 10), np.float32), *blinks]))
        small, are_eyes_theirs = saccades(each.read(_GAZE) for each in archives.values() if _GAZE in each.members)
        actor = self.face.geometry(keys, small)
        self.made = [
            *([] if are_blinks_theirs or actor.blink_keys is None else [_BLINK_MADE]),
            *([] if are_eyes_theirs else [_SACCADES_MADE]),
        ]
        write_actor_geometry(self.folder, actor)
        return actor

    def _write_archive(self, archives: dict[str, Archive], part: str, target: str) -> None:
        """Writes one archive of all shots; shots of takes without the part are at rest. None where no take has it."""
        prefix = f"{part}/"
        found = {
            name.removeprefix(prefix): each.read(name)
            for each in archives.values()
            for name in each.members
            if name.startswith(prefix)
        }
        path = self.folder / target
        if not found:
            path.unlink(missing_ok=True)
            return
        rest = next(iter(found.values())).shape[1:]
        shots = {shot: count for take in self.record.takes.values() for shot, count in take.shots.items()}
        write_npz(
            path,
            {shot: found.get(shot, np.zeros((count, *rest), np.float32)) for shot, count in sorted(shots.items())},
        )


def _tongue_of(take: Take, shot: ShotRange, samples: Float32Array) -> Float32Array:
    """Weights of the tongue, as captured or else made from the recording, `[frames, 16]`."""
    if take.tongue is not None:
        return take.tongue[shot.frames]
    sound = take_range(samples, sound_range(take, shot.first, shot.stop, MONO_RATE))
    return tongue_of_speech(sound, MONO_RATE, shot.num_frames, float(take.fps))


def _part_of(meshes: MeshMotion, shot: ShotRange) -> MeshMotion:
    tongue = None if meshes.tongue is None else _Range(meshes.tongue, shot)
    return MeshMotion(
        skin=_Range(meshes.skin, shot), tongue=tongue, jaw=None if meshes.jaw is None else meshes.jaw[shot.frames]
    )


@dataclass(frozen=True)
class _Range:
    """Some frames of a reader (`geometry.frames.PoseReader`)."""

    whole: PoseReader
    shot: ShotRange

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.shot.num_frames

    @property
    def num_verts(self) -> int:
        """Number of vertices."""
        return self.whole.num_verts

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """Frames `start` up to, not including, `stop`."""
        return self.whole.read(self.shot.first + start, self.shot.first + stop, out)


def _write_frames(path: Path, frames: PoseReader, fps: float, done: list[int]) -> None:
    """Writes a cache; appends the number of frames of each block to `done`."""

    def blocks() -> Iterator[AnyArray]:
        for block in blocks_of(frames.num_frames, 12 * frames.num_verts, _BLOCK_BYTES):
            yield frames.read(block.start, block.stop)
            done.append(block.stop - block.start)

    write_cache(path, blocks(), fps=fps, num_frames=frames.num_frames, num_verts=frames.num_verts)


def _rest_of(take: Take, plan: ShotPlan) -> tuple[str, int, float] | None:
    """Shot and frame in which the mouth is most at rest, and how much it still shows; None of a take of meshes."""
    if take.weights is None:
        return None
    found = [
        (name, *resting_frame(take.weights[shot.frames], float(take.fps))) for name, shot in plan.shots_by_name.items()
    ]
    return min(found, key=lambda each: each[2])


def _made(take: Take, face: Face) -> tuple[str, ...]:
    """What of a take is made, not captured."""
    made = []
    if take.weights is not None and isinstance(face, RigFace):
        if face.rig.tongue is not None and take.tongue is None:
            made.append("the tongue: from the sounds that the encoder a2f-phonetic detects, and the jaw")
        made.append("the jaw's points: a rigid motion from jawOpen and the other shapes of the jaw")
    return tuple(made)


def log_kept(takes: Sequence[Take], missing: Sequence[Take], record: ImportRecord) -> None:
    """Says which takes are kept as they are."""
    kept = len(takes) - len(missing)
    if kept:
        LOGGER.info("unchanged, keeping %d takes that are written", kept)
    others = set(record.takes) - {take.name for take in takes}
    if others:
        LOGGER.info("the data set also holds takes of earlier imports: %s", ", ".join(sorted(others)))
