"""The glTF file, read by VTK and trimesh and judged by the Khronos validator."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from faces import bare_face, example_face, without_weights
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOGeometry import vtkGLTFReader

from audio2face.example.head import Head
from audio2face.export import FORMATS, Animation
from audio2face.export.morph_targets import fit_morph_targets

CM = 100.0
VALIDATOR = Path(__file__).parents[2] / "tools/web/node_modules/gltf-validator"


def drawn_at(path: Path, frame: int, fps: float) -> dict[int, np.ndarray]:
    """What VTK shows at a frame, positions in centimetres by number of vertices."""
    reader = vtkGLTFReader()
    reader.SetFileName(str(path))
    reader.SetApplyDeformationsToGeometry(True)
    reader.UpdateInformation()
    reader.EnableAnimation(0)
    reader.SetFrameRate(round(fps))
    reader.UpdateInformation()
    reader.UpdateTimeStep(frame / fps)
    meshes = reader.GetOutput().NewIterator()
    found = {}
    while not meshes.IsDoneWithTraversal():
        points = CM * vtk_to_numpy(meshes.GetCurrentDataObject().GetPoints().GetData())
        # The eyes have as many vertices as one another, and so have the rows of teeth: right and lower come first.
        found.setdefault(len(points), points)
        meshes.GoToNextItem()
    return found


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Animation:
    return example_face(tmp_path_factory.mktemp("face"))


@pytest.mark.parametrize("solved", [True, False], ids=["blend shapes", "principal shapes"])
def test_vtk_sees_the_animation(face: Animation, tmp_path: Path, solved: bool) -> None:
    (path,) = FORMATS["glb"].write(face if solved else without_weights(face), tmp_path, "x")
    assert face.tongue is not None
    for frame in (0, 11, 23):
        seen = drawn_at(path, frame, face.fps)
        assert np.abs(seen[face.skin.num_verts] - face.skin.frames[frame]).max() < 0.01
        assert np.abs(seen[face.tongue.num_verts] - face.tongue.frames[frame]).max() < 0.01
        teeth = face.parts["extra_lower_teeth_vertices"]
        posed = teeth @ face.jaw[frame, :3, :3].T + face.jaw[frame, :3, 3]
        assert np.abs(seen[len(teeth)] - posed).max() < 1e-4
        rotations = face.eyes[frame].reshape(1, 2, 2)
        eyes = Head.open("ada").eyes(rotations)[0]
        assert np.abs(seen[len(eyes) // 2] - eyes[: len(eyes) // 2]).max() < 1e-4


def test_trimesh_opens_it_in_metres(face: Animation, tmp_path: Path) -> None:
    (path,) = FORMATS["glb"].write(face, tmp_path, "x")
    scene = trimesh.load_scene(path)
    assert {"skin", "tongue", "lower_teeth", "upper_teeth", "jaw", "right_eye", "left_eye"} <= set(scene.graph.nodes)
    np.testing.assert_allclose(scene.geometry["skin"].extents, np.ptp(face.skin.neutral, axis=0) / CM, rtol=1e-4)
    assert len(scene.geometry["skin"].faces) == 2 * len(face.parts["skin_faces"])


def test_blend_shapes_keep_their_names_and_unused_ones_cost_little(face: Animation, tmp_path: Path) -> None:
    (path,) = FORMATS["glb"].write(face, tmp_path, "x")
    size = int.from_bytes(path.read_bytes()[12:16], "little")
    document = json.loads(path.read_bytes()[20 : 20 + size])
    skin = document["meshes"][0]
    assert face.skin_weights is not None
    assert skin["extras"]["targetNames"] == list(face.skin_weights.names)
    assert path.stat().st_size < 2.5e6


def test_shapes_of_a_face_without_weights_stay_few_and_say_how_near_they_are(face: Animation) -> None:
    assert face.tongue is not None
    morphs = fit_morph_targets(face.tongue, None, "tongue")  # the jaw turns it, which no sum of shapes follows exactly
    assert 2 <= len(morphs.names) <= 6
    assert 0.001 < morphs.rms_mm <= 0.05
    posed = morphs.neutral + np.einsum("fs,svc->fvc", morphs.weights, morphs.deltas)
    off = 10 * np.linalg.norm(posed - face.tongue.frames, axis=-1)
    assert morphs.worst_mm == pytest.approx(off.max(), rel=1e-2)
    np.testing.assert_allclose((morphs.weights.min(), morphs.weights.max()), (0, 1), atol=1e-6)


def test_corrections_add_what_solved_weights_leave(face: Animation) -> None:
    assert face.skin_weights is not None
    weak = replace(face.skin_weights, values=np.minimum(face.skin_weights.values, 0.3))
    morphs = fit_morph_targets(face.skin, weak, "skin")
    assert morphs.names[:52] == weak.names
    assert morphs.names[52] == "correction_01"
    np.testing.assert_array_equal(morphs.weights[:, :52], weak.values)
    assert morphs.rms_mm <= 0.05
    assert fit_morph_targets(face.skin, face.skin_weights, "skin").names == weak.names  # nothing to correct


def test_a_face_that_does_not_move_has_no_shapes(tmp_path: Path) -> None:
    face = bare_face()
    still = replace(face, skin=replace(face.skin, frames=np.repeat(face.skin.neutral[None], 5, axis=0)))
    (path,) = FORMATS["glb"].write(still, tmp_path, "x")
    np.testing.assert_allclose(drawn_at(path, 2, still.fps)[40], still.skin.neutral, atol=1e-5)


def test_the_khronos_validator_finds_nothing(face: Animation, tmp_path: Path) -> None:
    if shutil.which("node") is None or not VALIDATOR.is_dir():
        pytest.skip("node or the packages of tools/web are missing: install Node.js, then run npm ci in tools/web")
    faces = {"solved": face, "principal": without_weights(face), "bare": bare_face()}
    files = [FORMATS["glb"].write(animation, tmp_path, name)[0] for name, animation in faces.items()]
    script = (
        "const validator = require(process.argv[1]), fs = require('fs');"
        "Promise.all(process.argv.slice(2).map(file => validator.validateBytes(new Uint8Array(fs.readFileSync(file)))))"
        ".then(reports => console.log(JSON.stringify(reports.map(report => report.issues))));"
    )
    done = subprocess.run(
        ["node", "-e", script, str(VALIDATOR), *map(str, files)], capture_output=True, text=True, check=True
    )
    for issues in json.loads(done.stdout):
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
