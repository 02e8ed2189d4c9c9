"""The table of Live Link Face and the JSON of Audio2Face: names, order, signs and time codes."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faces import bare_face, example_face

from audio2face.dataset.arkit_names import ARKIT_NAMES, LIVE_LINK_NAMES, match_names
from audio2face.errors import UserError
from audio2face.export import Animation, BlendWeights
from audio2face.export.arkit import timecode, write_arkit

JAW_OPEN, JAW_LEFT, JAW_RIGHT = (ARKIT_NAMES.index(name) for name in ("jawOpen", "jawLeft", "jawRight"))


def with_poses(names: Sequence[str], num_frames: int = 5) -> Animation:
    """A face whose poses have these names; the weight of pose i is (i + 1) / 100 in every frame."""
    face = bare_face(num_frames)
    values = np.tile((np.arange(len(names), dtype=np.float32) + 1) / 100, (num_frames, 1))
    deltas = np.zeros((len(names), *face.skin.neutral.shape), np.float32)
    return replace(face, skin_weights=BlendWeights(tuple(names), values, face.skin.neutral, deltas))


def written(face: Animation, folder: Path) -> tuple[list[dict[str, str]], dict[str, object]]:
    table, document = write_arkit(face, folder, "x")
    with table.open(newline="") as file:
        return list(csv.DictReader(file)), json.loads(document.read_text())


def test_columns_signs_and_the_audio2face_form(tmp_path: Path) -> None:
    face = example_face(tmp_path)
    rows, document = written(face, tmp_path)
    assert face.skin_weights is not None
    weights, frame = face.skin_weights.values, 20
    header = list(rows[0])
    assert header[:3] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft"]
    assert header[16:20] == ["JawForward", "JawRight", "JawLeft", "JawOpen"]
    assert header[-10:-6] == ["TongueOut", "HeadYaw", "HeadPitch", "HeadRoll"]
    row = rows[frame]
    assert row["BlendShapeCount"] == "61"
    assert float(row["EyeBlinkRight"]) == 1.0
    assert float(row["JawOpen"]) == pytest.approx(weights[frame, JAW_OPEN], abs=1e-6)
    assert float(row["JawLeft"]) == pytest.approx(weights[frame, JAW_LEFT], abs=1e-6)
    # As in takes of the app: looking to the actor's left makes yaw fall, looking down makes pitch rise.
    right_pitch, right_yaw, left_pitch, left_yaw = np.radians(face.eyes[frame])
    angles = {"RightEyePitch": right_pitch, "RightEyeYaw": -right_yaw, "LeftEyePitch": left_pitch}
    for column, angle in (angles | {"LeftEyeYaw": -left_yaw}).items():
        assert float(row[column]) == pytest.approx(angle, abs=1e-6), column

    names = document["facsNames"]
    assert isinstance(names, list)
    assert (document["exportFps"], document["numPoses"], document["numFrames"]) == (30.0, 68, face.num_frames)
    assert tuple(names[:52]) == ARKIT_NAMES
    assert names.index("jawLeft") + 1 == names.index("jawRight")
    assert names.index("mouthLeft") + 1 == names.index("mouthRight")
    matrix = np.array(document["weightMat"])
    np.testing.assert_allclose(matrix[:, :52], weights, atol=1e-6)
    assert matrix.shape == (face.num_frames, 68)


HABITS = {
    "ARKit": lambda name: name,
    "raw ARKit": lambda name: name.replace("Left", "_L").replace("Right", "_R"),
    "Blender": lambda name: name.replace("Left", ".L").replace("Right", ".R") + ".001",
    "short sides": lambda name: name.replace("Left", "L").replace("Right", "R"),
    "Maya node": lambda name: f"blendShape1.{name}",
    "mesh": lambda name: f"head_mesh.{name}",
    "namespace and path": lambda name: f"rig:face|{name}",
    "upper case": str.upper,
    "lower case": str.lower,
    "snake case": lambda name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name),
    "spaces": lambda name: "".join(f" {c}" if c.isupper() else c for c in name).title(),
    "side first": lambda name: next(
        (f"{side[0]}_{name.removesuffix(side)}" for side in ("Left", "Right") if name.endswith(side)), name
    ),
}


@pytest.mark.parametrize("habit", HABITS)
def test_poses_are_found_by_every_habit_of_naming(tmp_path: Path, habit: str) -> None:
    shuffled = np.random.default_rng(0).permutation(52)
    names = [HABITS[habit](ARKIT_NAMES[index]) for index in shuffled]
    rows, document = written(with_poses(names), tmp_path)
    expected = np.empty(52)
    expected[shuffled] = (np.arange(52) + 1) / 100
    np.testing.assert_allclose(np.array(document["weightMat"])[3], expected, atol=1e-6)
    assert [float(rows[3][name[0].upper() + name[1:]]) for name in ARKIT_NAMES] == pytest.approx(list(expected))
    assert document["posesWithoutColumn"] == []


def test_poses_without_a_column_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["mouthClose_jawOpen", "rig.jawOpen", "rig.browInnerUp", "rig.tongueOut", "rig.puckerWide", "L_cheekPuff"]
    with caplog.at_level(logging.INFO):
        rows, document = written(with_poses(names), tmp_path)
    assert float(rows[0]["JawOpen"]) == pytest.approx(0.02)  # the pose itself, not the combination
    assert float(rows[0]["CheekPuff"]) == 0  # half a shape is not the shape
    assert document["posesWithoutColumn"] == ["mouthClose_jawOpen", "rig.puckerWide", "L_cheekPuff"]
    warning = next(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert warning.endswith("mouthClose_jawOpen, rig.puckerWide, L_cheekPuff")
    assert "the set has no pose for eyeBlinkLeft" in caplog.text


def test_a_set_that_is_not_arkits_is_refused(tmp_path: Path) -> None:
    face = with_poses([f"AU{number}" for number in range(30)] + ["jawOpen"])
    with pytest.raises(UserError, match=r"of 31 poses 1 are ARKit's; .* AU0, .*and 22 more") as caught:
        write_arkit(face, tmp_path, "x")
    assert "jawOpen" in str(caught.value.hint)
    assert not list(tmp_path.iterdir())
    correctives = [*ARKIT_NAMES, *(f"corrective{number}" for number in range(200))]
    assert float(written(with_poses(correctives), tmp_path)[0][0]["TongueOut"]) == pytest.approx(0.52)
    with pytest.raises(UserError, match="needs weights of blend shapes"):
        write_arkit(bare_face(), tmp_path, "y")


def test_the_poses_of_the_tongue_bear_audio2faces_names(tmp_path: Path) -> None:
    face = with_poses(["jawOpen"])
    assert face.skin_weights is not None
    tongue = replace(
        face.skin_weights,
        names=("blendShape2.tongueTip_L", "Sprung"),
        values=np.full((5, 2), 0.25, np.float32),
        deltas=np.zeros((2, 40, 3), np.float32),
    )
    names = written(replace(face, tongue_weights=tongue), tmp_path)[1]["facsNames"]
    assert isinstance(names, list)
    assert names[52:] == ["tongueTipLeft", "sprung"]


def test_live_link_has_arkits_names_with_right_before_left_twice() -> None:
    assert len(match_names(LIVE_LINK_NAMES).columns) == 52
    order = [name[0].lower() + name[1:] for name in LIVE_LINK_NAMES]
    moved = [name for name, standard in zip(order, ARKIT_NAMES, strict=True) if name != standard]
    assert moved == ["jawRight", "jawLeft", "mouthRight", "mouthLeft"]


@pytest.mark.parametrize("fps", [24000 / 1001, 24, 25, 29.97, 30, 48, 50, 60, 120])
def test_time_codes_count_sixtieths_at_every_rate(tmp_path: Path, fps: float) -> None:
    rows, _ = written(replace(with_poses(["jawOpen"], 200), fps=fps), tmp_path)
    fields = np.array([[float(part) for part in row["Timecode"].split(":")] for row in rows])
    seconds = fields @ [3600, 60, 1, 1 / 60]
    np.testing.assert_allclose(seconds, np.arange(200) / fps, atol=1e-5)
    assert fields[:, 3].max() < 60


@pytest.mark.parametrize(
    ("frame", "fps", "expected"),
    [
        (0, 60, "00:00:00:00.000"),
        (119, 60, "00:00:01:59.000"),
        (1, 30, "00:00:00:02.000"),
        (216_000, 60, "01:00:00:00.000"),
        (30, 30000 / 1001, "00:00:01:00.060"),
        (999_999, 1_000_000, "00:00:01:00.000"),
    ],
)
def test_time_codes(frame: int, fps: float, expected: str) -> None:
    assert timecode(frame, fps) == expected
