"""A face without colours looks the same in the page, in a video and as glTF."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pygltflib
from speaking_heads import speaking_head

from audio2face.export import FORMATS
from audio2face.export.render.scene import Scene
from audio2face.geometry.mesh import linear
from audio2face.player.describe import describe_clip
from audio2face.player.motion_codec import Payload


def test_default_colours_have_one_source(tmp_path: Path) -> None:
    face = speaking_head(tmp_path, seconds=0.2)
    plain = {name: array for name, array in face.parts.items() if not name.endswith(("skin_colours", "tongue_colours"))}
    face = replace(face, parts=plain)
    page = {mesh["name"]: mesh["colour"] for mesh in describe_clip(face, "one", Payload())["meshes"]}
    scene = Scene(face)
    [file] = FORMATS["glb"].write(face, tmp_path, "x")
    materials = {one.name: one.pbrMetallicRoughness.baseColorFactor for one in pygltflib.GLTF2().load(file).materials}
    assert page.keys() == {"skin", "tongue"}
    first = 0
    for name, surface in face.surfaces.items():
        expected = linear(np.array(page[name]))
        np.testing.assert_allclose(scene.albedo[first], expected, atol=1e-6)
        np.testing.assert_allclose(materials[name][:3], expected, atol=1e-6)
        first += surface.num_verts
