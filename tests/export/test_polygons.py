"""Meshes that mix quadrilaterals and triangles, from the display data of a deployed actor to every form of output."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from faces import example_face
from pxr import Usd, UsdGeom

from audio2face.animation.parts import rigid_parts
from audio2face.errors import FileFormatError, UserError
from audio2face.export import Animation, Surface, write_formats
from audio2face.export.render.renderer import Renderer
from audio2face.geometry import canonical_polygons
from audio2face.geometry.mesh import triangulate
from audio2face.inference.actor import DisplayData
from audio2face.player import write_page

FORMS = ("minus one", "repeated last", "repeated first")


def mixed(quads: np.ndarray, form: str) -> np.ndarray:
    """Every second quadrilateral split in two triangles, the others as they are."""
    split, whole = quads[::2], quads[1::2]
    triangles = np.concatenate([split[:, [0, 1, 2]], split[:, [0, 2, 3]]])
    fourth = {"minus one": np.full(len(triangles), -1), "repeated last": triangles[:, 2]}.get(form, triangles[:, 0])
    return np.concatenate([whole, np.column_stack([triangles, fourth])]).astype(np.int32)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Animation:
    return example_face(tmp_path_factory.mktemp("face"), 6)


@pytest.fixture(scope="module", params=FORMS)
def mixed_face(request: pytest.FixtureRequest, face: Animation, tmp_path_factory: pytest.TempPathFactory) -> Animation:
    """The face with mixed polygons everywhere, as inference reads it from `display_<actor>.npz`."""
    assert face.tongue is not None
    parts = {
        name: mixed(array, request.param) if name.endswith("_faces") else array for name, array in face.parts.items()
    }
    path = tmp_path_factory.mktemp("deployed") / "display_ada.npz"
    np.savez(path, fps=np.float32(30), **parts)
    actor = SimpleNamespace(display=path, neutral_skin=face.skin.neutral, neutral_tongue=face.tongue.neutral)
    display = DisplayData.from_actor(actor)  # type: ignore[arg-type]
    return replace(
        face,
        skin=Surface(face.skin.neutral, face.skin.frames, display.skin_faces),
        tongue=Surface(face.tongue.neutral, face.tongue.frames, display.tongue_faces),
        parts=display.parts,
    )


def corner_sets(triangles: np.ndarray) -> list[list[int]]:
    """Triangles in an order and with a first corner of their own, for comparison."""
    turned = [np.roll(row, -int(np.argmin(row))).tolist() for row in triangles]
    return sorted(turned)


def test_both_forms_become_one() -> None:
    quads = [[0, 1, 2, 3], [4, 5, 6, -1], [7, 8, 9, 9], [1, 2, 3, 1], [1, 1, 2, 3], [1, 2, 2, 3]]
    flat = [[1, 1, 2, 2], [1, 2, 1, 3], [1, 2, 3, 2], [1, 2, 1, -1], [5, 5, 5, 5]]
    triangles = [[4, 5, 6, -1], [7, 8, 9, -1], [1, 2, 3, -1], [1, 2, 3, -1], [1, 2, 3, -1]]
    assert canonical_polygons(np.array(quads + flat)).tolist() == [[0, 1, 2, 3], *triangles]
    assert canonical_polygons(np.array([[0, 1, 2, 2], [3, 4, 5, -1]])).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("row", [[0, -1, 2, 3], [0, 1, -1, -1], [0, 1, 2, 9], [0, 1, 2, -2]])
def test_a_corner_that_is_no_vertex_is_refused_by_place(row: list[int]) -> None:
    with pytest.raises(ValueError, match="polygon 1"):
        canonical_polygons(np.array([[0, 1, 2, -1], row]), 9)
    with pytest.raises(UserError, match="polygon 0"):
        Surface(np.zeros((9, 3), np.float32), np.zeros((1, 9, 3), np.float32), np.array([row], np.int32))


def test_display_data_of_another_mesh_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "display_ada.npz", skin_faces=np.array([[0, 1, 2, -1], [0, 1, 7, 2]]))
    actor = SimpleNamespace(
        display=tmp_path / "display_ada.npz", neutral_skin=np.zeros((4, 3)), neutral_tongue=np.zeros((0, 3))
    )
    with pytest.raises(FileFormatError, match="corner 2 of polygon 1 is vertex 7"):
        DisplayData.from_actor(actor)  # type: ignore[arg-type]


def test_usd_states_the_corners_of_each_polygon(mixed_face: Animation, tmp_path: Path) -> None:
    for file in write_formats(mixed_face, tmp_path, "x", ["usd"])[:2]:
        stage = Usd.Stage.Open(str(file))
        meshes = [prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
        assert len(meshes) == 6  # skin, tongue, teeth and eyes
        for prim in meshes:
            mesh = UsdGeom.Mesh(prim)
            counts = np.array(mesh.GetFaceVertexCountsAttr().Get())
            indices = np.array(mesh.GetFaceVertexIndicesAttr().Get())
            assert set(counts.tolist()) == {3, 4}
            assert (counts.sum(), indices.min() >= 0) == (len(indices), True)


def test_gltf_has_the_triangles_of_the_quadrilaterals(face: Animation, mixed_face: Animation, tmp_path: Path) -> None:
    scenes = [
        trimesh.load(write_formats(one, tmp_path, name, ["glb"])[0], process=False)
        for name, one in (("quads", face), ("mixed", mixed_face))
    ]
    for part in ("skin", "tongue"):
        whole, split = (corner_sets(scene.geometry[part].faces) for scene in scenes)
        assert whole == split


def test_video_and_page_show_the_same_face(face: Animation, mixed_face: Animation, tmp_path: Path) -> None:
    pictures = [Renderer(one, 96, 96, 2).frame(3).astype(int) for one in (face, mixed_face)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 1.0  # one refinement of quadrilaterals and of their halves
    write_page(mixed_face, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 100_000


def test_parts_beside_the_face_are_in_the_same_form(mixed_face: Animation) -> None:
    for prop in rigid_parts(mixed_face):
        assert prop.faces[:, :3].min() == 0
        assert (prop.faces[:, 3] == -1).any()
        assert len(triangulate(prop.faces)) > 0
    damaged = dict(mixed_face.parts) | {"extra_upper_teeth_faces": np.array([[0, 1, 99_999]])}
    with pytest.raises(UserError, match="upper_teeth_faces"):
        rigid_parts(replace(mixed_face, parts=damaged))
