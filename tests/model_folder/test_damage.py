"""Whatever is damaged in a deployed folder, the lint names the file: all of it, data for drawing included."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_models import DIFFUSION, REGRESSION, STREAMING, write_model

from audio2face.io.atomic import write_npz
from audio2face.model_folder import lint

TRIES = 25
Arrays = dict[str, np.ndarray]


@pytest.fixture(params=[DIFFUSION, REGRESSION, STREAMING], ids=["diffusion", "regression", "streaming"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_model(tmp_path, request.param)
    for actor in request.param.identities:
        write_npz(tmp_path / f"display_{actor}.npz", display_arrays())
    assert faulty_files(tmp_path) == set()
    return tmp_path


def display_arrays() -> Arrays:
    """For a face of 12 vertices and a tongue of 5."""
    return {
        "skin_faces": np.array([[0, 1, 2, 3], [3, 4, 5, -1]], np.int32),
        "tongue_faces": np.array([[0, 1, 2]], np.int32),
        "lip_upper": np.array([0, 1], np.int32),
        "lip_lower": np.array([2, 3], np.int32),
        "blink_keys": np.array([0, 1, 0], np.float32),
        "fps": np.asarray(30.0, np.float32),
        "extra_teeth_lower_vertices": np.ones((4, 3), np.float32),
        "extra_teeth_lower_faces": np.array([[0, 1, 2]], np.int32),
        "extra_teeth_lower_colours": np.full((4, 3), 200, np.uint8),
        "extra_eye_centres": np.zeros((2, 3), np.float32),
        "tongue_to_jaw": np.eye(4, dtype=np.float32),
        "tongue_follows_jaw": np.asarray(1, np.uint8),
    }


def faulty_files(folder: Path) -> set[str]:
    return {fault.file for fault in lint(folder)[1] if fault.severity == "error"}


def test_damage_by_content(folder: Path) -> None:
    """Cuts and flipped bits of archives; cuts of JSON."""
    chance, missed, tried = random.Random(0), [], 0
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".npz", ".json"):
            continue
        whole = path.read_bytes()
        for _ in range(TRIES):
            content = bytearray(whole[: chance.randrange(len(whole) - 1)])
            if path.suffix == ".npz" and chance.random() < 0.7:
                content = bytearray(whole)
                content[chance.choice(checked_bytes(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(content)
            tried += 1
            missed += [] if path.name in faulty_files(folder) else [path.name]
        path.write_bytes(whole)
    assert tried > 200
    assert missed == []


def checked_bytes(content: bytes) -> list[int]:
    """Positions of headers and values of the arrays; what lies between them has no checksum."""
    places: list[int] = []
    start = 0
    while (start := content.find(b"\x93NUMPY", start)) >= 0:
        stop = content.find(b"PK", start)
        places += range(start, stop)
        start = stop
    return places


def without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {key: value for key, value in arrays.items() if key != name}


def with_(name: str, value: object, dtype: type = np.float32) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {**arrays, name: np.asarray(value, dtype)}


@pytest.mark.parametrize(
    "change",
    [
        with_("skin_faces", [[0, 1, 12]], np.int32),
        with_("skin_faces", [[0, 1]], np.int32),
        with_("skin_faces", [[0, 1, 2]]),
        with_("skin_faces", np.zeros((1000, 3)), np.int32),
        with_("tongue_faces", [[0, 1, 5]], np.int32),
        with_("lip_upper", [0, 12], np.int32),
        with_("lip_upper", [0, -1], np.int32),
        with_("lip_upper", [0.0, 1.0]),
        with_("lip_upper", [0], np.int32),
        without("lip_lower"),
        with_("blink_keys", [0, np.nan]),
        with_("blink_keys", [0, 2]),
        with_("blink_keys", [[0, 1]]),
        *(with_("fps", value) for value in (0, -30, np.nan, np.inf, 1e9, [30, 30], [])),
        with_("extra_teeth_lower_vertices", np.full((4, 3), np.nan)),
        with_("extra_teeth_lower_vertices", np.full((4, 3), 1e30)),
        with_("extra_teeth_lower_vertices", np.zeros((0, 3))),
        with_("extra_teeth_lower_vertices", np.zeros((2, 3))),
        with_("extra_teeth_lower_faces", [[0, 1, 4]], np.int32),
        with_("extra_teeth_lower_colours", np.zeros((3, 3)), np.uint8),
        with_("extra_teeth_lower_colours", np.full((4, 3), 300), np.int32),
        with_("extra_skin_colours", np.zeros((5, 3)), np.uint8),
        with_("extra_eye_centres", np.zeros((1, 3))),
        with_("tongue_to_jaw", 2 * np.eye(4)),
        with_("tongue_to_jaw", np.zeros((3, 4))),
        with_("tongue_follows_jaw", [1, 0]),
        with_("extra_../../evil_vertices", np.zeros((2, 3))),
        with_("extra_a\nb_vertices", np.zeros((2, 3))),
        with_("extra_words", "text", str),
    ],
)
def test_data_for_drawing(tmp_path: Path, change: Callable[[Arrays], Arrays]) -> None:
    write_model(tmp_path, REGRESSION)
    np.savez(tmp_path / "display_ada.npz", **change(display_arrays()))
    assert faulty_files(tmp_path) == {"display_ada.npz"}
