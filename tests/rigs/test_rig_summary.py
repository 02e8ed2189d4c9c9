"""The command that shows what a rig has, draws it, and writes its lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from characters import head_builder
from matplotlib.image import imread

from audio2face.cli import rig as command
from audio2face.errors import UserError
from audio2face.rigs import open_rig


def test_a_character_is_described_drawn_and_its_lists_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A2F_DATASETS_ROOT", str(tmp_path))
    head_builder(["jawOpen", "eyeBlinkLeft", "eyeBlinkRight"], scale=1.0).glb(tmp_path / "hero.glb")
    assert command.main(["hero.glb", "--lists", "--picture", str(tmp_path / "hero.png")]) == 0
    said = capsys.readouterr().out
    assert "hero.glb: 3 of ARKit's 52 shapes\n  4,452 vertices, 8,860 polygons, 32.7 cm high\n" in said
    assert "its lengths are taken as centimetres" in said
    assert "jawOpen               jawOpen\n" in said
    assert "mouthClose            -                                       lips close by shutting the jaw" in said
    (lips,) = (line for line in said.splitlines() if line.startswith("lip_dist"))
    assert "5 pairs" in lips
    assert float(lips.split(" mm with jawOpen")[0].split()[-1]) > 20
    written = json.loads((tmp_path / "hero.lists.json").read_text())
    assert set(written) == {"lip_dist", "eye_dist", "lip_size"}
    assert open_rig(tmp_path / "hero.glb").lists.to_json() == written
    assert imread(tmp_path / "hero.png").std() > 0.1


def test_a_picture_is_png_or_jpg(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"suffix of a picture\n .*png or \.jpg"):
        command.main(["example", "--picture", str(tmp_path / "x.gif")])


def test_what_is_not_found_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = head_builder(["jawOpen"]).glb(tmp_path / "hero.glb")
    assert command.main([str(path), "--picture", str(tmp_path / "hero.png")]) == 0
    assert "eye_dist              not found: no edges that eyeBlink moves against each other" in capsys.readouterr().out


def test_a_built_in_head_has_its_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["example:ben"]) == 0
    assert "tongue_rigid          31 of 226 vertices" in capsys.readouterr().out
    with pytest.raises(UserError, match="a built-in head has its lists"):
        command.main(["example", "--lists"])
