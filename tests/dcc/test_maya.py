"""The scripts for Maya, on a stand-in for its modules: Maya itself was not available."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from a2f_dcc import SceneError
from maya_stand_in import MayaScene
from stand_in import FPS, LAST

from audio2face.dataset.discovery import find_actors
from audio2face.export import arkit
from audio2face.geometry import open_cache

RATE = 16_000
WORDS = "maya_export.py face.ma -- --actor mary --skin Head --tongue Tongue --jaw jaw --head skull --lower-teeth Teeth"


@pytest.fixture
def maya(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MayaScene:
    """A scene whose frame 30 is neutral, and whose sound begins at frame 5."""
    scene = MayaScene()
    scene.install(monkeypatch)
    monkeypatch.chdir(tmp_path)
    soundfile.write(tmp_path / "take.wav", np.arange(int((LAST + 1) / FPS * RATE), dtype=np.int16), RATE)
    scene.sounds["take"] = {"filename": str(tmp_path / "take.wav"), "offset": 5.0, "mute": False, "sourceStart": 0.0}
    scene.neutral_frame = 30
    return scene


def script(name: str) -> Any:
    sys.modules.pop(name, None)
    return importlib.import_module(name)


def test_a_scene_of_maya_becomes_a_data_set(
    maya: MayaScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script("maya_export").main([*WORDS.split(), "--neutral", "30"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "one unit is 1 cm, the face looks to +z, 23.976 frames per second" in said
    assert "next: audio2face init mary" in said
    (found,) = find_actors(tmp_path / "datasets")
    assert found.shots == ("s001_joy", "s002_neutral")
    assert found.rate == pytest.approx(FPS, abs=1e-9)
    folder = found.folder
    for shot, first, count in (("s001_joy", 3, 18), ("s002_neutral", 21, 14)):
        frames = open_cache(folder / f"cache/skin/{shot}/{shot}.mdd")[:]
        np.testing.assert_allclose(frames, maya.truth(first, count), atol=1e-4)
        samples, _ = soundfile.read(folder / f"audio/{shot}.wav", dtype="int16")
        begin = round((first - 5 - 0.5) / FPS * RATE)
        assert samples[RATE // 2] == begin + RATE // 2
    shapes = np.load(folder / "bs_data/bs_skin.npz")
    np.testing.assert_allclose(shapes["jawOpen"], maya.head.skin_shapes[17], atol=1e-5)
    lips = (folder / "geom/skin/lip_dist_vertex_list.json").read_text()
    assert "421" in lips


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time_unit": "sec"}, "counts its time in 'sec'"),
        ({"lost_vertices": {22}}, r"in frame 22 of shot 's002_neutral'[^$]*cut1 \(polyReduce\)"),
        ({"bookmarks": []}, "no marker lies in the scene's range"),
    ],
)
def test_what_maya_cannot_give_is_refused(
    change: dict[str, Any], said: str, maya: MayaScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in change.items():
        setattr(maya, name, value)
    assert script("maya_export").main([*WORDS.split(), "--neutral", "30"]) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not (tmp_path / "datasets/mary").exists()


def test_two_sounds_at_once_and_trimmed_ones_are_refused(maya: MayaScene) -> None:
    scene = importlib.import_module("a2f_dcc.maya_scene").MayaScene()
    maya.sounds["music"] = {**maya.sounds["take"], "offset": 10.0}
    with pytest.raises(SceneError, match=r"several sounds lie in frames 2\.5 to 20\.5: take, music"):
        scene.write_sound(2.5, 18, Path("a.wav"))
    maya.sounds["music"]["mute"] = True
    assert scene.write_sound(2.5, 18, Path("a.wav"))
    maya.sounds["take"]["sourceStart"] = 4.0
    with pytest.raises(SceneError, match="'take' is trimmed"):
        scene.write_sound(2.5, 18, Path("a.wav"))


@pytest.mark.parametrize(
    ("unit", "rate"),
    [("film", 24), ("ntsc", 30), ("23.976fps", 24 / 1.001), ("29.97df", 30 / 1.001), ("120fps", 120), ("12fps", 12)],
)
def test_rates_of_maya_are_exact(unit: str, rate: float, maya: MayaScene) -> None:
    assert importlib.import_module("a2f_dcc.maya_scene").rate_of_unit(unit) == pytest.approx(rate, rel=1e-12)


def test_the_window_exports_what_is_typed_and_selected(maya: MayaScene, tmp_path: Path) -> None:
    script("maya_export").show()
    *take, export = maya.commands
    take[0]()  # the selected mesh is the skin
    maya.fields |= {"Actor": "mary", "Neutral Frame": "30"}
    export()
    assert maya.said.pop() == "Nothing was written: Folder is not named"
    maya.fields |= {"Folder": str(tmp_path / "data"), "Shots": "a=1-9 b=10-19"}
    export()
    assert maya.said.pop().startswith(f"2 shots are in {tmp_path / 'data'}\nthe whole face moves")
    assert sorted(path.name for path in (tmp_path / "data/audio").iterdir()) == ["a.wav", "b.wav"]


@pytest.fixture
def animated(tmp_path: Path) -> Path:
    folder = tmp_path / "speech"
    folder.mkdir()
    rows = "".join(f"{arkit.timecode(i, 30.0)},61,{i / 10},{i / 20}\n" for i in range(4))
    (folder / "speech_arkit.csv").write_text(f"Timecode,BlendShapeCount,JawOpen,MouthSmileLeft\n{rows}")
    files = ["speech_arkit.csv", "speech.xml", "speech_tongue.xml", "speech.wav"]
    for name in files[1:]:
        (folder / name).touch()
    (folder / "animation.json").write_text(f'{{"fps": 30.0, "files": {files}}}'.replace("'", '"'))
    return folder


def test_weights_become_keys_in_maya(maya: MayaScene, animated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script("maya_import").apply(skin="Head", result=animated, start=10)
    step = FPS / 30
    assert maya.keys["jawOpen"] == [(pytest.approx(10 + i * step), i / 10) for i in range(4)]
    assert len(maya.keys) == 2
    assert maya.attributes["faceShapes.mouthSmileLeft"] == "no longer control.smile"
    assert "warning: 'Head': mouthSmileLeft was driven by control.smile" in capsys.readouterr().out
    assert maya.sounds["speech"] == {"file": str(animated / "speech.wav"), "offset": 10, "name": "speech"}


def test_a_cache_is_attached_in_maya(maya: MayaScene, animated: Path) -> None:
    words = ["maya_import.py", "face.ma", "--", "--result", str(animated), "--skin", "Head", "--tongue", "Tongue"]
    assert script("maya_import").main([*words, "--motion", "cache", "--start", "5", "--save", "out.ma"]) == 0
    assert [cache["fileName"] for cache in maya.caches] == ["speech", "speech_tongue"]
    assert maya.caches[0]["inAttr"] == ["switch1.inp[0]"]
    assert maya.attributes == {"switch1.playFromCache": 1, "cache1.startFrame": 5}
    assert script("maya_import").main([*words, "--jaw", "jaw"]) == 2
