"""The start of an animation on a time line, in every format that has a place for it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from faces import bare_face, example_face
from pxr import Usd  # type: ignore[import-untyped]
from pygltflib import GLTF2

from audio2face.animation.timecode import Start
from audio2face.export import write_formats
from audio2face.export.arkit import timecode
from audio2face.geometry import open_cache


def test_every_format_begins_there(tmp_path: Path) -> None:
    face = replace(example_face(tmp_path, num_frames=3), start=Start.parse("01:00:00:00", 30))
    write_formats(face, tmp_path, "a", ["csv", "usd", "glb", "maya", "mdd"])
    with (tmp_path / "a.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["frame"], row["seconds"], row["timecode"]) for row in rows[:2]] == [
        ("108000", "0.000000", "01:00:00:00"),
        ("108001", "0.033333", "01:00:00:01"),
    ]
    for file in ("a.usdc", "a_blendshapes.usdc"):
        stage = Usd.Stage.Open(str(tmp_path / file))
        assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (108_000, 108_002)
        assert stage.GetRootLayer().customLayerData["startTimecode"] == "01:00:00:00"
        moving = [a for prim in stage.Traverse() for a in prim.GetAttributes() if a.GetNumTimeSamples()]
        assert {tuple(attribute.GetTimeSamples()) for attribute in moving} == {(108_000, 108_001, 108_002)}
    extras = GLTF2().load(str(tmp_path / "a.glb")).asset.extras
    assert (extras["start_frame"], extras["start_timecode"]) == (108_000, "01:00:00:00")
    for file in ("a.xml", "a.mdd"):
        assert open_cache(tmp_path / file).start_time == pytest.approx(3_600)


def test_without_a_start_the_table_has_no_time_code(tmp_path: Path) -> None:
    write_formats(bare_face(), tmp_path, "a", ["csv"])
    assert (tmp_path / "a.csv").read_text().startswith("frame,seconds,jaw_x")


@pytest.mark.parametrize(
    ("start", "fps", "frame", "expected"),
    [
        (None, 24, 1, "00:00:00:02.500"),
        ("01:00:00:00", 24, 1, "01:00:00:02.500"),
        ("00:00:59;29", 29.97, 1, "00:01:00:04.000"),  # the label ;02 of the minute
        ("23:59:59:29", 30, 1, "00:00:00:00.000"),
    ],
)
def test_live_link_counts_sixtieths_of_the_labelled_second(
    start: str | None, fps: float, frame: int, expected: str
) -> None:
    assert timecode(frame, fps, None if start is None else Start.parse(start, fps)) == expected


def test_a_rate_without_time_code_gives_the_time_of_the_day() -> None:
    assert timecode(0, 12.5, Start(125)) == "00:00:10:00.000"
