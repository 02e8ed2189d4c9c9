"""Emotions over time, as curves and as users write them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from audio2face.errors import UserError
from audio2face.inference import EmotionCurve, EmotionNames

NAMES = EmotionNames(("amazement", "joy", "outofbreath"), (0.0, 0.25, 0.0), "neutral", 16000, Fraction(30))


def test_straight_lines_between_keys() -> None:
    curve = EmotionCurve(2)
    curve.add(100, [0.0, 1.0])
    curve.add(200, [1.0, 0.5])
    assert curve.defined_until == 200
    np.testing.assert_allclose(curve.at([-5, 100, 125, 200]), [[0, 1], [0, 1], [0.25, 0.875], [1, 0.5]])
    with pytest.raises(ValueError, match="defined until 200"):
        curve.at([201])
    curve.close()
    np.testing.assert_array_equal(curve.at([201, 10**9]), [[1, 0.5], [1, 0.5]])
    with pytest.raises(ValueError, match="closed"):
        curve.add(300, [0, 0])


def test_keys_that_are_refused() -> None:
    curve = EmotionCurve(1)
    with pytest.raises(UserError, match="one key at least"):
        curve.close()
    curve.add(0, [0.5])
    with pytest.raises(UserError, match="sample 0 comes after that at sample 0"):
        curve.add(0, [0.5])
    for value in (1.5, -0.1, np.nan):
        with pytest.raises(UserError, match="expected 0 to 1"):
            curve.add(1, [value])


@pytest.mark.parametrize(
    ("said", "label", "vector"),
    [
        (None, "joy", [0, 0.25, 0]),
        ("joy", "joy", [0, 1, 0]),
        ("neutral", "neutral", [0, 0, 0]),
        ("Out_Of_Breath=0.5, joy = 0.2", "outofbreath-joy", [0, 0.2, 0.5]),
    ],
)
def test_words(said: str | None, label: str, vector: list[float]) -> None:
    emotion = NAMES.parse(said)
    assert emotion.label == label
    np.testing.assert_allclose(emotion.curve.at([0, 5])[1], vector)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("jov", "no emotion 'jov'.*\n.*mean 'joy'"),
        ("joy=2", "'joy' is 2, expected a value from 0 to 1"),
        ("joy=much", "strength of 'joy' is 'much', expected a number"),
        ("", "no emotion ''"),
    ],
)
def test_words_that_are_refused(said: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        NAMES.parse(said)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "time,joy,Amazement\n0,0,1\n\n1.5, 1, 0.5\n"),
        ("b.CSV", "\ufeffframe,amazement,joy\r\n0,1,0\r\n45,0.5,1\r\n"),
        ("c.csv", "frame,seconds,joy,amazement\n7,0,0,1\n9,1.5,1,0.5\n"),
        ("d.json", '[{"time": 0, "amazement": 1}, {"time": 1.5, "joy": 1, "amazement": 0.5}]'),
        ("e.json", '{"keys": [{"frame": 0, "amazement": 1}, {"frame": 45, "joy": 1, "amazement": 0.5}]}'),
    ],
)
def test_files(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    emotion = NAMES.parse(str(tmp_path / name))
    assert emotion.label == Path(name).stem
    np.testing.assert_allclose(emotion.curve.at([0, 12000, 24000]), [[1, 0, 0], [0.75, 0.5, 0], [0.5, 1, 0]])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "time,fear\n0,1\n", "line 2: the model has no emotion 'fear'"),
        ("a.csv", "time,joy\n0,1\n1,2\n", "line 3: the emotion 'joy' is 2"),
        ("a.csv", "time,joy\n1,1\n1,0\n", "line 3: the emotion key at sample 16000 comes after"),
        ("a.csv", "time,joy\n-1,1\n", "before the recording"),
        ("a.csv", "time,joy\n0\n", "line 2: 1 values for 2 columns"),
        ("a.csv", "time,joy\n0,\n", "'joy' is '', expected a number"),
        ("a.csv", "time,joy\nnan,1\n", "the time is 'nan'"),
        ("a.csv", "joy\n1\n", "neither 'time' .* nor 'frame'"),
        ("a.csv", "time,joy,joy\n0,1,1\n", "two columns are called 'joy'"),
        ("a.csv", "", "the file is empty"),
        ("a.csv", "time,joy\n", "holds no key"),
        ("a.json", "[", "is not valid JSON"),
        ("a.json", '{"time": 0}', "contains no list of keys"),
        ("a.json", '[{"time": 0, "joy": true}]', "key 0: emotion 'joy' is True"),
    ],
)
def test_files_that_are_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        NAMES.read(tmp_path / name)
    assert caught.value.path == tmp_path / name


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file of emotions"):
        NAMES.parse(str(tmp_path / "none.csv"))
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        NAMES.parse(str(tmp_path / "a.csv"))
