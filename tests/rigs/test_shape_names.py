"""Names of shapes in the habits of many tools are found among ARKit's, and what is missing is named with its cost."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.rigs.shape_names import ShapeRow, ShapeTable


def table_of(*names: str) -> ShapeTable:
    found = ShapeTable.find(names)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("own", "shape"),
    [
        ("blendShape1.mouthFunnel", "mouthFunnel"),
        ("BS_jawForward", "jawForward"),
        ("head_eyeBlink_L", "eyeBlinkLeft"),
        ("Mouth_Smile_R", "mouthSmileRight"),
        ("A23_Mouth_Funnel", "mouthFunnel"),
        ("mouthPuckerShape", "mouthPucker"),
        ("Brow_Drop_L", "browDownLeft"),
        ("Mouth_Up_Upper_R", "mouthUpperUpRight"),
        ("Fcl_EYE_Close_L", "eyeBlinkLeft"),
        ("blinkRight", "eyeBlinkRight"),
        ("AU12_L", "mouthSmileLeft"),
        ("AU_20_right", "mouthStretchRight"),
        ("AU22", "mouthFunnel"),
        ("Jaw_L", "jawLeft"),
        ("Mouth_R", "mouthRight"),
    ],
)
def test_one_to_one(own: str, shape: str) -> None:
    assert table_of("jawOpen", own).rows[ARKIT_INDEX[shape]] == ShapeRow((own,))


def test_all_of_icts_names() -> None:
    """ICT-FaceKit has no tongueOut, and halves of browInnerUp and cheekPuff."""
    names = [name.replace("Left", "_L").replace("Right", "_R") for name in ARKIT_NAMES if name != "tongueOut"]
    split = ("browInnerUp", "cheekPuff")
    names = [*(name for name in names if name not in split), *(f"{name}_{side}" for name in split for side in "LR")]
    table = table_of(*names)
    assert {*ARKIT_NAMES} - {*table.found} == {"tongueOut"}
    assert table.own("browInnerUp") == ("browInnerUp_L", "browInnerUp_R")
    assert table.unused == ()
    assert table.driving.sum() == len(names)


def test_one_shape_for_both_sides() -> None:
    table = table_of("jawOpen", "mouthSmile", "AU45", "mouthPress", "mouthPressLeft")
    assert table.rows[ARKIT_INDEX["mouthSmileLeft"]] == ShapeRow(("mouthSmile",), 0.5)
    assert table.own("eyeBlinkRight") == ("AU45",)
    assert table.own("mouthPressRight") == ()  # `mouthPress` would move the left twice
    assert table.unused == ("mouthPress",)


def test_another_name_of_the_opening_jaw_gives_way_to_visemes() -> None:
    assert table_of("mouthOpen", "mouthSmile").own("jawOpen") == ("mouthOpen",)
    spoken = table_of("mouthOpen", "viseme_PP", "viseme_aa", "viseme_E", "viseme_I", "viseme_O", "viseme_U")
    assert spoken.visemes is not None
    assert spoken.own("jawOpen") == ()
    assert ShapeTable.find(["smile", "Key 1"]) is None


def test_the_table_says_what_is_there_and_what_the_rest_costs() -> None:
    text = "\n".join(table_of("jawOpen", "mouthSmile", "browInnerUp_L", "browInnerUp_R", "Wink").lines())
    assert "jawOpen               jawOpen\n" in text
    assert "mouthSmile                              for both sides: the mean of left and right" in text
    assert "browInnerUp_L + browInnerUp_R           halves, moved together" in text
    assert "mouthClose            -                                       lips close by shutting the jaw" in text
    assert text.endswith("not used              Wink")
    assert len(text.splitlines()) == 54


def test_left_and_right_change_places() -> None:
    table = table_of("jawOpen", "eyeBlink_L", "eyeBlink_R", "mouthLeft", "mouthSmile_L")
    turned = table.mirrored()
    assert turned.own("eyeBlinkLeft") == ("eyeBlink_R",)
    assert turned.own("mouthRight") == ("mouthLeft",)
    assert turned.own("mouthSmileLeft") == ()
    np.testing.assert_array_equal(turned.mirrored().driving, table.driving)
