"""What a landmarker sees of one face in all pictures of a film, and of the pictures themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.importers.landmarker import Face, Landmarker
from audio2face.io.arrays import Archive
from audio2face.types import AnyArray, Float32Array, Float64Array, Int32Array, Picture

TRACK_FORMAT = 1
"""Of the measurements: another number measures kept films anew."""
_SAME = 0.2  # shared part of two boxes that are taken for the same face
_LOOK_SECONDS = 0.5  # between pictures whose light and sharpness are measured
_LOOK_PIXELS = 128  # height of the face at which sharpness is measured


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceTrack:
    """The measurements of all pictures of a film; those of a face are NaN where there was none.

    Attributes:
        times: in seconds, ascending, float64 `[pictures]`.
        size: width and height of the pictures in pixels, int32 `[2]`.
        num_faces: faces in each picture, int32 `[pictures]`.
        weights: of ARKit's shapes, float32 `[pictures, 52]`, see `Face`, as the next three.
        boxes: float32 `[pictures, 4]`.
        lips: float32 `[pictures]`.
        poses: float32 `[pictures, 4, 4]`.
        light: of pictures twice a second: mean level of the left and the right half of the face, and share of it that
            is black or white, from 0 to 1, float32 `[pictures, 3]`; NaN of others.
        sharpness: of the same pictures: mean square of the second differences of the face, relative to its contrast,
            float32 `[pictures]`.
    """

    times: Float64Array
    size: Int32Array
    num_faces: Int32Array
    weights: Float32Array
    boxes: Float32Array
    lips: Float32Array
    poses: Float32Array
    light: Float32Array
    sharpness: Float32Array

    def arrays(self) -> dict[str, AnyArray]:
        """All measurements by name, to be kept in a file."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


def read_track(path: Path) -> FaceTrack:
    """Reads measurements that were kept (`FaceTrack.arrays`).

    Raises:
        UserError: the file is damaged, or holds something else.
    """
    archive = Archive.open(path)
    return FaceTrack(**{item.name: archive.read(item.name) for item in fields(FaceTrack)})


def track_face(
    pictures: Iterable[tuple[float, Picture]],
    landmarker: Landmarker,
    on_picture: Callable[[float], None] = lambda time: None,
) -> FaceTrack:
    """Follows the largest face of a film.

    Args:
        pictures: with their times in seconds, ascending.
        landmarker: finds the faces.
        on_picture: is told the time of each picture.
    """
    rows: list[tuple[float, int, Face | None, Float32Array]] = []
    last: Face | None = None
    size, looked, stamp = (0, 0), -np.inf, -1
    for time, picture in pictures:
        size = (picture.shape[1], picture.shape[0])
        stamp = max(stamp + 1, round(1000 * time))
        found = landmarker.faces(picture, stamp)
        face = choose(found, last)
        last = face or last
        look = np.full(4, np.nan, np.float32)
        if face is not None and time >= looked + _LOOK_SECONDS:
            looked, look = time, look_of(picture, face.box)
        rows.append((time, len(found), face, look))
        on_picture(time)
    faces = [face for _, _, face, _ in rows]
    looks = np.array([look for *_, look in rows], np.float32).reshape(-1, 4)
    return FaceTrack(
        times=np.array([time for time, *_ in rows], np.float64),
        size=np.array(size, np.int32),
        num_faces=np.array([count for _, count, *_ in rows], np.int32),
        weights=_stacked(faces, lambda face: face.weights, (len(ARKIT_NAMES),)),
        boxes=_stacked(faces, lambda face: face.box, (4,)),
        lips=_stacked(faces, lambda face: face.lips, ()),
        poses=_stacked(faces, lambda face: face.pose, (4, 4)),
        light=looks[:, :3],
        sharpness=looks[:, 3],
    )


def choose(faces: Sequence[Face], last: Face | None) -> Face | None:
    """The face that goes on, else the largest; None where there is none.

    Args:
        faces: of a picture.
        last: the face that was chosen last.
    """
    same = [] if last is None else [face for face in faces if _overlap(face.box, last.box) > _SAME]
    if same and last is not None:
        before = last.box
        return max(same, key=lambda face: _overlap(face.box, before))
    return max(faces, key=lambda face: face.area, default=None)


def _overlap(one: Float32Array, other: Float32Array) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one, other)]
    return shared / max(sum(areas) - shared, 1e-6)


def look_of(picture: Picture, box: Float32Array) -> Float32Array:
    """Light and sharpness of a face: left level, right level, share of black and white, sharpness, float32 `[4]`.

    Args:
        picture: uint8 `[height, width, 3]`.
        box: of the face, `[4]`.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = np.clip(np.round(box), 0, [width, height, width, height]).astype(int)
    if right - left < 8 or bottom - top < 8:
        return np.full(4, np.nan, np.float32)
    step = max(1, (bottom - top) // _LOOK_PIXELS)
    gray = picture[top:bottom:step, left:right:step, 1].astype(np.float32) / 255
    half = gray.shape[1] // 2
    extreme = float(np.mean((gray < 0.02) | (gray > 0.98)))
    curvature = gray[1:-1, :-2] + gray[1:-1, 2:] + gray[:-2, 1:-1] + gray[2:, 1:-1] - 4 * gray[1:-1, 1:-1]
    sharpness = float(np.square(curvature).mean() / max(float(gray.var()), 1e-6))
    return np.array([gray[:, :half].mean(), gray[:, half:].mean(), extreme, sharpness], np.float32)


def _stacked(
    faces: Sequence[Face | None], part: Callable[[Face], Float32Array | float], shape: tuple[int, ...]
) -> Float32Array:
    """One part of all faces, float32 `[pictures, ...]`; NaN without a face."""
    values = np.full((len(faces), *shape), np.nan, np.float32)
    for row, face in enumerate(faces):
        if face is not None:
            values[row] = part(face)
    return values
