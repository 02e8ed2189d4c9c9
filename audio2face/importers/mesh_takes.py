"""Takes of meshes: the motion of a face in place, without that of its head, read in blocks of frames."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.animation.rigid import RigidTransform, rigid_transforms
from audio2face.dataset.layout import ActorGeometry
from audio2face.dataset.vertex_lists import VertexLists
from audio2face.errors import FileFormatError, UserError
from audio2face.importers.film_quality import head_motion
from audio2face.importers.kinds import Importer, ImportOptions
from audio2face.importers.mesh_face import EYES, FaceInMotion, are_damaged, are_far, find_face
from audio2face.importers.moving import MovingMeshes
from audio2face.importers.naming import emotion_in
from audio2face.importers.sound import find_recording
from audio2face.importers.still_parts import inverse_poses
from audio2face.importers.take import HeadMotion, MeshMotion, Take, TakeSummary, summary_of
from audio2face.rigs.jaw import NUM_POINTS, far_apart
from audio2face.types import AnyArray, Float32Array

_SAME_REST = 1e-3  # of the size of a face: two files show the same meshes at rest


class MeshImporter(Importer):
    """Finds and reads takes of meshes."""

    def __init__(self, options: ImportOptions) -> None:
        super().__init__(options)
        self._takes: dict[str, Take] = {}
        self._face: FaceInMotion | None = None

    @abstractmethod
    def open(self, sources: Sequence[Path]) -> list[MovingMeshes]:
        """The performances in files and folders, with unique names.

        Raises:
            UserError: a source is missing, damaged, or of another kind.
        """

    def lists(self) -> VertexLists:
        """Lists of vertices that the sources name."""
        return VertexLists()

    def inspect(self, sources: Sequence[Path]) -> list[TakeSummary]:
        """Finds the face and the motion of the takes."""
        found = sorted(self.open(sources), key=lambda moving: moving.name)
        _check_same(found)
        self._face = find_face(found, self.lists())
        for moving in found:
            shares = sum(other.source == moving.source for other in found) > 1
            stems = [moving.name] if shares else [moving.name, moving.source.stem]
            self._takes[moving.name] = self._take(moving, self._face, stems, is_only=len(found) == 1)
        return [summary_of(take) for take in self._takes.values()]

    def read(self, name: str) -> Take:
        """The take as it was inspected; its frames are read when they are needed."""
        return self._takes[name]

    def geometry(self) -> ActorGeometry:
        """The face of all takes."""
        assert self._face is not None
        return self._face.actor

    def _take(self, moving: MovingMeshes, face: FaceInMotion, stems: Sequence[str], *, is_only: bool) -> Take:
        audio, silent = moving.audio, list[str]()
        if audio is None or self.options.audio is not None:
            audio, silent = find_recording(self.options.audio, stems, moving.source.parent, is_only)
        measured = _measure(moving, face)
        notes = [*silent, *face.notes, *moving.notes]
        if measured.head is not None:
            turned = np.abs(measured.head.angles).max(axis=0)
            notes.append(f"the head's motion is taken out: {turned.max():.1f} degrees at most")
        if face.jaw == face.skin:
            notes.append("the jaw's points: a rigid motion fitted to the skin of the chin")
        return Take(
            name=moving.name,
            source=moving.source,
            fps=moving.fps,
            lost=np.zeros(moving.num_frames, np.bool_) if moving.lost is None else moving.lost,
            meshes=MeshMotion(
                skin=_Frames(moving, face, face.skin, measured.still),
                tongue=_Frames(moving, face, face.tongue, measured.still) if face.tongue else None,
                jaw=measured.jaw,
            ),
            eyes=measured.eyes,
            head=measured.head,
            audio=audio,
            audio_start=moving.start,
            emotion=self.options.emotion or emotion_in(moving.name),
            notes=tuple(notes),
        )


def _check_same(takes: Sequence[MovingMeshes]) -> None:
    """Refuses takes of different meshes.

    Raises:
        UserError: names both files and what differs.
    """
    first = takes[0]
    counts = [len(piece.vertices) for piece in first.pieces]
    size = float(np.linalg.norm(np.ptp(np.concatenate([piece.vertices for piece in first.pieces]), axis=0)))
    for other in takes[1:]:
        found = [len(piece.vertices) for piece in other.pieces]
        if found != counts:
            raise UserError(
                f"has meshes of {_counted(found)} vertices, and {first.source.name} of {_counted(counts)}",
                path=other.source,
                hint="All takes of an actor have one mesh: import those of each mesh under a name of their own.",
            )
        apart = max(_apart(one.vertices, two.vertices) for one, two in zip(first.pieces, other.pieces, strict=True))
        if first.has_rest and other.has_rest and apart > _SAME_REST * size:
            raise UserError(
                f"its face at rest is not that of {first.source.name}",
                path=other.source,
                hint="All takes of an actor have one face: import those of each face under a name of their own.",
            )


def _counted(numbers: Sequence[int]) -> str:
    return ", ".join(f"{number:,}" for number in numbers)


def _apart(one: Float32Array, two: Float32Array) -> float:
    """How far two meshes differ in shape: a part that turns by itself stands elsewhere at the start of each file."""
    placed = rigid_transforms(one, two[None])[0]
    return float(np.abs(one @ placed[:3, :3].T + placed[:3, 3] - two).max(initial=0))


@dataclass(frozen=True, eq=False)
class _Measured:
    """What is measured in every frame of a take.

    Attributes:
        still: takes the head back to rest.
        head: the head's motion; None where it does not move.
        jaw: offsets of the jaw's key points, float32 `[frames, points, 3]`.
        eyes: see `Take.eyes`; None without eyeballs.
    """

    still: RigidTransform
    head: HeadMotion | None
    jaw: Float32Array
    eyes: Float32Array | None


def _measure(moving: MovingMeshes, face: FaceInMotion) -> _Measured:
    """Measures head, jaw and eyes in one pass over the frames."""
    needed = dict.fromkeys([*face.skin, *face.jaw, *(number for eye in face.eyes.values() for number in eye)])
    key = far_apart(face.jaw_rest, NUM_POINTS)
    rotations, translations, jaw, eyes = [], [], [], []
    for block in moving.blocks(list(needed)):
        joined = {pieces: _placed(moving, face, pieces, block) for pieces in {face.skin, face.jaw, *face.eyes.values()}}
        _check(joined, block.start, moving, face)
        still = face.still.fit(joined[face.skin][:, face.still.vertices])
        rotations.append(still.rotations)
        translations.append(still.translations)
        moved = rigid_transforms(face.jaw_rest, still.apply(joined[face.jaw][:, face.jaw_vertices]).astype(np.float32))
        points = face.jaw_rest[key]
        posed = points @ moved[:, :3, :3].transpose(0, 2, 1) + moved[:, None, :3, 3]
        jaw.append(np.asarray(posed - points, np.float32))
        if face.eyes.keys() >= set(EYES):
            eyes.append(
                np.stack([_gaze(face.eye_rest[side], still.apply(joined[face.eyes[side]])) for side in EYES], axis=1)
            )
    whole = RigidTransform(np.concatenate(rotations), np.concatenate(translations))
    return _Measured(
        still=whole,
        head=head_motion(inverse_poses(whole)) if face.still.moves else None,
        jaw=np.concatenate(jaw),
        eyes=np.concatenate(eyes) if eyes else None,
    )


def _check(
    joined: Mapping[tuple[int, ...], Float32Array], first: int, moving: MovingMeshes, face: FaceInMotion
) -> None:
    """Refuses frames that are damaged, of pieces in place."""
    neutral = face.actor.neutral
    bad = are_damaged(joined[face.skin], neutral)
    for posed in joined.values():
        bad |= are_far(posed, neutral)
    if bad.any():
        raise FileFormatError(
            f"frame {first + int(bad.argmax())} holds positions that are NaN, infinity, far from everything else, or "
            "all in one place",
            path=moving.source,
            hint="Export the take once more, or without these frames.",
        )


def _placed(moving: MovingMeshes, face: FaceInMotion, pieces: tuple[int, ...], frames: slice) -> Float32Array:
    """Some pieces in place, with the head's motion, float32 `[frames, verts, 3]`."""
    raw = moving.joined(pieces, frames)
    return np.asarray(raw.astype(np.float32, copy=False) @ face.matrix.T.astype(np.float32), np.float32)


def _gaze(rest: Float32Array, posed: AnyArray) -> Float32Array:
    """Pitch (down) and yaw (to the actor's left) of an eyeball, degrees, float32 `[frames, 2]`."""
    ahead = rigid_transforms(rest, posed.astype(np.float32))[:, :3, 2]
    pitch = np.arctan2(-ahead[:, 1], np.hypot(ahead[:, 0], ahead[:, 2]))
    yaw = np.arctan2(ahead[:, 0], ahead[:, 2])
    return np.asarray(np.degrees(np.stack([pitch, yaw], axis=1)), np.float32)


@dataclass(frozen=True, eq=False)
class _Frames:
    """Some pieces of a take in place, without the head's motion (`geometry.frames.PoseReader`)."""

    moving: MovingMeshes
    face: FaceInMotion
    pieces: tuple[int, ...]
    still: RigidTransform

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.moving.num_frames

    @property
    def num_verts(self) -> int:
        """Number of vertices."""
        return sum(len(self.moving.pieces[piece].vertices) for piece in self.pieces)

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """Frames `start` up to, not including, `stop`: float32 `[stop - start, verts, 3]`."""
        posed = _placed(self.moving, self.face, self.pieces, slice(start, stop))
        if self.face.still.moves:
            posed = posed @ self.still.rotations[start:stop].transpose(0, 2, 1).astype(np.float32)
            posed += self.still.translations[start:stop, None].astype(np.float32)
        if out is None:
            return posed
        out[: stop - start] = posed
        return out[: stop - start]
