"""MediaPipe's face landmarker: the faces in a picture, with weights of ARKit's shapes, lips and pose of the head.

The package (extra `capture`) does not carry the network, which is a file that the user names.

Two habits of the package matter here. With `num_faces=1` it smooths landmarks in time, which delays them by half a
frame and parts lips that meet for two frames only; looking for several faces gives what it sees. And it reads arrays as
if their rows had no padding, whatever their strides say.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.extras import require
from audio2face.io.atomic import file_sha256
from audio2face.types import Float32Array, Picture

MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
"""Of the file that this was written and tested with, version 1."""
MODEL_ADDRESS = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task"
)
_BLENDSHAPES = "face_blendshapes.tflite"  # in the file: without it there are landmarks only
NOT_MEASURED = ("tongueOut",)
"""Shapes of ARKit that the landmarker lacks."""
MEASURED = frozenset(ARKIT_NAMES) - set(NOT_MEASURED)

MOST_FACES = 3  # in a picture; see the module's text on why not one
# Numbers of the 478 landmarks.
_INNER_LIPS = ((13, 14), (82, 87), (312, 317))  # upper and lower
_EYE_CORNERS = (33, 263)  # outer ones
_OUTLINE = (10, 338, 284, 454, 361, 397, 378, 152, 149, 172, 132, 234, 54, 109)


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    Attributes:
        weights: of ARKit's shapes, float32 `[52]`, from 0 to 1.
        box: left, top, right and bottom of its outline, float32 `[4]`, in pixels; outside the picture where it is cut.
        lips: opening between the inner lips as a share of the distance of the outer corners of the eyes.
        pose: places the face in front of the camera, float32 `[4, 4]`, centimetres; x to the right of the picture, y
            upwards, z towards the camera, which is the origin and is taken to have a usual angle of view.
    """

    weights: Float32Array
    box: Float32Array
    lips: float
    pose: Float32Array

    @property
    def area(self) -> float:
        """Of its box, in square pixels."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


class Landmarker(Protocol):
    """Finds faces in the pictures of a film."""

    def faces(self, picture: Picture, milliseconds: int) -> list[Face]:
        """The faces of the next picture.

        Args:
            picture: uint8 `[height, width, 3]`, contiguous.
            milliseconds: its time, later than that of the last picture.
        """


class MediaPipeLandmarker:
    """The landmarker of MediaPipe, as `Landmarker`.

    Args:
        task: the object of the package.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self._columns: tuple[tuple[int, int], ...] | None = None

    def faces(self, picture: Picture, milliseconds: int) -> list[Face]:
        """See `Landmarker`."""
        import mediapipe

        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
        found = self._task.detect_for_video(image, milliseconds)
        height, width = picture.shape[:2]
        parts = zip(found.face_landmarks, found.face_blendshapes, found.facial_transformation_matrixes, strict=True)
        return [
            face_of(landmarks, {shape.category_name: shape.score for shape in shapes}, pose, (width, height))
            for landmarks, shapes, pose in parts
        ]


def face_of(landmarks: Sequence[Any], scores: Mapping[str, float], pose: Any, size: tuple[int, int]) -> Face:
    """A face from what MediaPipe says about it.

    Args:
        landmarks: 478 points with x and y as shares of the picture's width and height, and z as x.
        scores: of its shapes by name, which are ARKit's, and `_neutral`, which is none.
        pose: `[4, 4]`.
        size: width and height of the picture in pixels.
    """
    weights = np.zeros(len(ARKIT_NAMES), np.float32)
    for name, score in scores.items():
        if name in ARKIT_INDEX:
            weights[ARKIT_INDEX[name]] = score
    scale = np.array([size[0], size[1], size[0]])

    def points(numbers: Sequence[int]) -> Any:
        return scale * [(landmarks[number].x, landmarks[number].y, landmarks[number].z) for number in numbers]

    outline = points(_OUTLINE)[:, :2]
    upper, lower = (points(numbers) for numbers in zip(*_INNER_LIPS, strict=True))
    corners = points(_EYE_CORNERS)
    gap = np.linalg.norm(upper - lower, axis=1).mean()
    return Face(
        weights=weights,
        box=np.array([*outline.min(axis=0), *outline.max(axis=0)], np.float32),
        lips=float(gap / max(float(np.linalg.norm(corners[0] - corners[1])), 1e-6)),
        pose=np.asarray(pose, np.float32),
    )


@contextmanager
def open_landmarker(model: Path) -> Iterator[Landmarker]:
    """Opens MediaPipe's landmarker.

    Args:
        model: the network, see `check_model`.

    Raises:
        UserError: the package is missing, or it cannot read the file.
    """
    require("a film", "capture")
    from mediapipe.tasks import python as tasks
    from mediapipe.tasks.python import vision

    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
        num_faces=MOST_FACES,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    try:
        task = vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        problem = f"MediaPipe cannot read the model: {str(error).splitlines()[0]}"
        raise FileFormatError(problem, path=model, hint=_where_to_get()) from error
    with task:
        yield MediaPipeLandmarker(task)


def check_model(model: Path | None) -> list[str]:
    """Checks the file of the network before a film is read.

    Returns:
        What is worth knowing about it.

    Raises:
        UserError: none is named, it is missing, or it is another file.
    """
    if model is None:
        raise UserError("a film needs the network of MediaPipe's face landmarker (--model)", hint=_where_to_get())
    if not model.is_file():
        raise missing_file("there is no such model", model, _where_to_get())
    if file_sha256(model) == MODEL_SHA256:
        return []
    try:
        with zipfile.ZipFile(model) as archive:
            is_whole = archive.testzip() is None and _BLENDSHAPES in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        is_whole = False
    if not is_whole:
        raise FileFormatError(
            "is not the network of MediaPipe's face landmarker with blend shapes, or was cut off",
            path=model,
            hint=_where_to_get(),
        )
    return [f"the model {model.name} is not the version that this was tested with (its SHA-256 differs)"]


def _where_to_get() -> str:
    return (
        f"Download {MODEL_ADDRESS} (3.8 MB, Apache-2.0, SHA-256 {MODEL_SHA256[:16]}...) and name it: --model "
        "face_landmarker.task"
    )
