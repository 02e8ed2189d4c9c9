"""A character's own file with the animation of its shapes: nothing else of it changes, and other programs play it."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from characters import add_eyes, add_tongue, head_builder
from spoken import SAMPLERATE, phones_of, sound_of, source_of
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOGeometry import vtkGLTFReader

from audio2face.animation.animation import Animation
from audio2face.errors import UserError
from audio2face.export.formats import write_formats
from audio2face.rigs import RigOptions, RigPipeline, open_rig
from audio2face.rigs.gltf_reader import GltfFile

CM = 100.0
VALIDATOR = Path(__file__).parents[2] / "tools/web/node_modules/gltf-validator"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63d8d3d30300033a019d8dc1d8560000000049454e44ae426082"
)


def speaking(folder: Path, character: Path) -> Animation:
    phones = phones_of(" ɑmɑ ")
    soundfile.write(folder / "speech.wav", sound_of(phones), SAMPLERATE)
    pipeline = RigPipeline(open_rig(character), RigOptions(emotion="joy"), source_of(phones))
    return pipeline.animate(folder / "speech.wav", folder)


@pytest.fixture(scope="module")
def character(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file with its buffer and a picture beside it, and an animation of its own."""
    folder = tmp_path_factory.mktemp("character")
    made = head_builder()
    add_eyes(made)
    (folder / "skin.png").write_bytes(PIXEL)
    made.document["images"] = [{"uri": "skin.png"}]
    made.document["textures"] = [{"source": 0}]
    made.document["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    made.document["meshes"][0]["primitives"][0]["material"] = 0
    return made.gltf(folder / "hero.gltf", "hero.bin")


@pytest.fixture(scope="module")
def animation(tmp_path_factory: pytest.TempPathFactory, character: Path) -> Animation:
    return speaking(tmp_path_factory.mktemp("speech"), character)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, animation: Animation) -> Path:
    folder = tmp_path_factory.mktemp("written")
    path, _ = write_formats(animation, folder, "x", ["glb"])
    return path


def document(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    (size,) = struct.unpack_from("<I", data, 12)
    found: dict[str, Any] = json.loads(data[20 : 20 + size])
    return found


def test_vtk_sees_the_animation(tmp_path: Path) -> None:
    """Of a file without sparse arrays, whose other rows VTK leaves undefined."""
    animation = speaking(tmp_path, head_builder(sparse=False).glb(tmp_path / "hero.glb"))
    written, _ = write_formats(animation, tmp_path, "x", ["glb"])
    reader = vtkGLTFReader()
    reader.SetFileName(str(written))
    reader.SetApplyDeformationsToGeometry(True)
    reader.UpdateInformation()
    reader.EnableAnimation(0)
    reader.SetFrameRate(30)
    reader.UpdateInformation()
    opened = int(np.argmin(animation.skin.frames[:, animation.parts["lip_lower"][2], 1]))
    for frame in (0, opened):
        reader.UpdateTimeStep(frame / 30)
        meshes = reader.GetOutput().NewIterator()
        points = CM * vtk_to_numpy(meshes.GetCurrentDataObject().GetPoints().GetData())
        assert np.abs(points - animation.skin.frames[frame]).max() < 0.01
    assert np.abs(animation.skin.frames[opened] - animation.skin.frames[0]).max() > 0.3


def test_the_weights_are_those_of_the_animation(animation: Animation, written: Path) -> None:
    file = GltfFile.open(written)
    (channel,) = file.document["animations"][0]["channels"]
    sampler = file.document["animations"][0]["samplers"][channel["sampler"]]
    assert channel["target"] == {"node": 0, "path": "weights"}
    times, values = file.accessor(sampler["input"]), file.accessor(sampler["output"])
    np.testing.assert_allclose(times, np.arange(animation.num_frames) / 30, atol=1e-6)
    assert animation.skin_weights is not None
    solved = dict(zip(animation.skin_weights.names, animation.skin_weights.values.T, strict=True))
    names = file.document["meshes"][0]["extras"]["targetNames"]
    for name, column in zip(names, values.reshape(animation.num_frames, len(names)).T, strict=True):
        np.testing.assert_array_equal(column, solved[name])


def test_all_else_is_the_file(character: Path, written: Path) -> None:
    before, after = GltfFile.open(character), GltfFile.open(written)
    for index in range(len(before.document["accessors"])):
        np.testing.assert_array_equal(before.accessor(index), after.accessor(index))
    for mesh in after.document["meshes"]:
        assert not any(mesh.pop("weights", []))
    for key in ("nodes", "meshes", "materials", "textures", "scenes"):
        assert after.document[key] == before.document[key]
    (image,) = after.document["images"]
    view = after.document["bufferViews"][image["bufferView"]]
    start = view["byteOffset"]
    assert after.buffers[0][start : start + view["byteLength"]] == PIXEL


def test_the_animation_comes_before_those_of_the_file(tmp_path: Path) -> None:
    made = head_builder()
    made.document["animations"] = [{"name": "idle", "samplers": [], "channels": []}]
    animation = speaking(tmp_path, made.glb(tmp_path / "hero.glb"))
    path, _ = write_formats(animation, tmp_path, "x", ["glb"])
    assert [entry["name"] for entry in document(path)["animations"]] == ["speech", "idle"]


def test_a_character_that_is_gone_or_changed(animation: Animation, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such character"):
        write_formats(replace(animation, character=tmp_path / "gone.glb"), tmp_path, "x", ["glb"])
    other = head_builder(["jawOpen"], rename=lambda _: "Key 1").glb(tmp_path / "other.glb")
    with pytest.raises(UserError, match="no shapes any more"):
        write_formats(replace(animation, character=other), tmp_path, "x", ["glb"])
    assert not (tmp_path / "x.glb").exists()


@pytest.mark.skipif(not VALIDATOR.is_dir(), reason="npm ci --prefix tools/web installs the validator")
def test_the_validator_finds_nothing_new(written: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    program = (
        "const v = require(process.argv[1]); const fs = require('fs');"
        "v.validateBytes(new Uint8Array(fs.readFileSync(process.argv[2]))).then(r => console.log(JSON.stringify(r)));"
    )
    done = subprocess.run([node, "-e", program, str(VALIDATOR), str(written)], capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert not [m for m in report["issues"]["messages"] if m["severity"] == 0 and "/animations/0" in m["pointer"]]


def test_a_tongue_of_its_own_moves_under_its_own_names(tmp_path: Path) -> None:
    made = head_builder()
    add_tongue(made, "Tongue_Tip_Up", "tongueTipUp")
    phones = phones_of(" ɑlɑ ")
    soundfile.write(tmp_path / "speech.wav", sound_of(phones), SAMPLERATE)
    pipeline = RigPipeline(open_rig(made.glb(tmp_path / "hero.glb")), RigOptions(), source_of(phones))
    animation = pipeline.animate(tmp_path / "speech.wav", tmp_path)
    assert animation.tongue_weights is not None
    column = animation.tongue_weights.names.index("Tongue_Tip_Up")
    written, _ = write_formats(animation, tmp_path, "x", ["glb"])
    file = GltfFile.open(written)
    channels = file.document["animations"][0]
    (sampler,) = (one["sampler"] for one in channels["channels"] if one["target"]["node"] == 1)
    found = file.accessor(channels["samplers"][sampler]["output"])
    np.testing.assert_array_equal(found, animation.tongue_weights.values[:, column])
    assert found.max() > 0.3
