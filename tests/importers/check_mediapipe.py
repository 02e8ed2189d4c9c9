"""Checks with MediaPipe and its network, on demand: pytest does not collect a file of this name, since CI has neither.

    A2F_FACE_LANDMARKER=face_landmarker.task A2F_FACE_FILM=speaker.mpg \\
        .venv/bin/python -m pytest tests/importers/check_mediapipe.py -rP      # -rP: with the figures

It needs the extra `capture`, the network's file, and a film of a face that speaks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.importers.face_track import FaceTrack
from audio2face.importers.film import open_film
from audio2face.importers.film_process import keep_off_the_network, measure_film
from audio2face.importers.landmarker import Landmarker, check_model, open_landmarker
from audio2face.importers.smoothing import lip_contacts
from audio2face.importers.video import take_of
from audio2face.types import Picture

MODEL, FILM = (Path(os.environ[name]) for name in ("A2F_FACE_LANDMARKER", "A2F_FACE_FILM"))


@pytest.fixture(scope="module")
def track() -> FaceTrack:
    return measure_film(FILM, MODEL, None)


@pytest.fixture
def landmarker() -> Iterator[Landmarker]:
    keep_off_the_network(os.environ)
    with open_landmarker(MODEL) as opened:
        yield opened


def pictures() -> list[tuple[float, Picture]]:
    return list(open_film(FILM).pictures())


def test_the_model_is_the_known_one() -> None:
    assert check_model(MODEL) == []


def test_a_film_of_speech_becomes_a_take(track: FaceTrack) -> None:
    take = take_of(track, open_film(FILM), "film", smoothing=0.2, keeps_rest=False)
    print("\n".join(take.notes))
    assert not take.lost.any()
    assert take.weights is not None
    jaw = take.weights[:, ARKIT_INDEX["jawOpen"]]
    assert np.ptp(jaw) > 0.15
    assert np.corrcoef(jaw, track.lips)[0, 1] > 0.7


def test_pictures_are_measured_one_by_one(track: FaceTrack, landmarker: Landmarker) -> None:
    """Nothing is smoothed in time: a picture gives what it gives when those before it are left out."""
    shown = pictures()
    middle = len(shown) // 2
    (face,) = landmarker.faces(shown[middle][1], 0)
    assert face.lips == pytest.approx(float(track.lips[middle]), abs=0.01)
    assert face.weights == pytest.approx(track.weights[middle], abs=0.1)


def test_left_is_the_actors_left(landmarker: Landmarker) -> None:
    """A mirrored picture exchanges left and right."""
    _, picture = pictures()[0]
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    (face,), (other,) = landmarker.faces(picture, 0), landmarker.faces(mirrored, 1000)
    yaw = [float(np.degrees(np.arctan2(each.pose[0, 2], each.pose[2, 2]))) for each in (face, other)]
    assert yaw[0] == pytest.approx(-yaw[1], abs=3)
    width = picture.shape[1]
    assert [face.box[0], face.box[2]] == pytest.approx([width - other.box[2], width - other.box[0]], abs=6)


def test_lips_meet_now_and_then(track: FaceTrack) -> None:
    share = float(lip_contacts(track.lips).mean())
    print(f"the lips meet in {share:.0%} of the pictures")
    assert 0.02 < share < 0.8
