"""The renderer's parts against slow and plain ways, and what is seen of a face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faces import bare_face, example_face
from hypothesis import given, settings
from hypothesis import strategies as st

from audio2face.example.head import Head
from audio2face.export import Animation
from audio2face.export.render.lighting import directions, visibility
from audio2face.export.render.raster import PATTERNS, VisibilityBuffer, rasterise
from audio2face.export.render.renderer import Camera, Renderer
from audio2face.geometry.mesh import Normals, refine, triangulate

WIDTH, HEIGHT = 16, 12


def slowly(points: np.ndarray, triangles: np.ndarray, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest triangle and its nearness at each sample, one at a time; -1 where there is none."""
    best = np.zeros((samples, HEIGHT, WIDTH))
    number = np.full((samples, HEIGHT, WIDTH), -1)
    for sample, row, column in np.ndindex(samples, HEIGHT, WIDTH):
        x, y = column + PATTERNS[samples][sample], row + (sample + 0.5) / samples
        for index, corners in enumerate(points[triangles].tolist()):
            edges = [(corners[i][:2], corners[(i + 1) % 3][:2]) for i in range(3)]
            sides = [(x - ax) * (by - ay) - (y - ay) * (bx - ax) for (ax, ay), (bx, by) in edges]
            if not all(side > 0 for side in sides):
                continue
            shares = (sides[1], sides[2], sides[0])
            near = sum(share * corner[2] for share, corner in zip(shares, corners, strict=True)) / sum(sides)
            if near > best[sample, row, column]:
                best[sample, row, column], number[sample, row, column] = near, index
    return number, best


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(list(PATTERNS)))
def test_the_nearest_triangle_is_seen(seed: int, samples: int) -> None:
    random = np.random.default_rng(seed)
    points = random.uniform((-4, -4, 0.5), (WIDTH + 4, HEIGHT + 4, 2), (12, 3)).astype(np.float32)
    triangles = random.permuted(np.tile(np.arange(12), (8, 1)), axis=1)[:, :3].astype(np.int32)
    keys = rasterise(points, triangles, WIDTH, HEIGHT, samples).keys
    number, near = slowly(points, triangles, samples)
    found = np.where(keys > 0, keys.astype(np.uint32).astype(np.int64), -1)
    seen = (found >= 0) & (number >= 0)
    assert ((found >= 0) != (number >= 0)).mean() < 0.002  # a sample on an edge may fall to either side
    close = np.isclose(VisibilityBuffer.nearness(keys)[seen], near[seen], rtol=2e-3)
    assert (~close).sum() < 0.002 * keys.size
    # Of two triangles with the same corners either may be seen.
    corners = np.sort(triangles, axis=1)
    alike = (corners[found[seen]] == corners[number[seen]]).all(axis=1)
    assert (~alike).sum() < 0.002 * keys.size


def test_triangles_that_share_edges_leave_no_gap() -> None:
    random = np.random.default_rng(3)
    middle = np.array([[8.3, 5.7, 1.0]])
    around = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    rim = np.stack([8 + 30 * np.cos(around), 6 - 30 * np.sin(around), 1 + random.random(400)], axis=1)
    number = np.arange(400)
    fan = np.stack([number * 0, 1 + number, 1 + (number + 1) % 400], axis=1).astype(np.int32)
    seen = rasterise(np.concatenate([middle, rim]).astype(np.float32), fan, WIDTH, HEIGHT, 8)
    assert (seen.keys > 0).all()
    assert not (
        rasterise(np.concatenate([middle, rim]).astype(np.float32), fan[:, ::-1], WIDTH, HEIGHT, 8).keys > 0
    ).any()


CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float64)
CUBE_FACES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]], np.int32)


def test_refining_follows_catmull_and_clark() -> None:
    matrix, quads = refine(CUBE_FACES, 8)
    points = matrix @ CUBE
    assert (points.shape, quads.shape) == ((8 + 12 + 6, 3), (24, 4))
    np.testing.assert_allclose(points[0], [2 / 9] * 3, atol=1e-6)  # a corner
    np.testing.assert_allclose(points[8], [1 / 8, 1 / 8, 1 / 2], atol=1e-6)  # the edge from it along z
    np.testing.assert_allclose(points[-6:].mean(axis=0), [0.5] * 3, atol=1e-6)  # the faces' middles
    sheet = np.array([[0, 1, 4, 3], [1, 2, 5, -1], [1, 5, 4, -1]], np.int32)
    flat = np.array([[x, y, 0] for y in (0, 1) for x in (0, 1, 2)], np.float64)
    open_matrix, _ = refine(sheet, 6)
    assert np.ptp((open_matrix @ flat)[:, 2]) == 0
    np.testing.assert_allclose(open_matrix.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose((open_matrix @ flat)[1], [1, 0, 0], atol=1e-6)  # on the rim, between its neighbours


def test_quadrilaterals_become_triangles() -> None:
    faces = np.array([[0, 1, 2, 3], [4, 5, 6, -1], [7, 8, 9, 9]], np.int32)
    assert triangulate(faces).tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [7, 8, 9]]
    normals = Normals(triangulate(CUBE_FACES), 8).compute(CUBE.astype(np.float32))
    assert (np.sign(normals) == np.sign(CUBE - 0.5)).all()


def test_a_roof_keeps_the_light_from_above_out() -> None:
    roof = np.array([[-5, 2, -5], [-5, 2, 5], [5, 2, 5], [5, 2, -5]], np.float32)
    points = np.concatenate([roof, [[0, 0, 0]]]).astype(np.float32)
    normals = np.tile(np.array([0, 1, 0], np.float32), (5, 1))
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    free = visibility(points, normals, triangles)[4]
    height = directions()[:, 1]
    assert free[height > 0.7].max() == 0
    assert free[height < 0.2].min() == 1


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Animation:
    return example_face(tmp_path_factory.mktemp("face"))


def test_the_mouth_is_dark_where_it_is_open_and_eyes_look_aside(face: Animation) -> None:
    width, height = 320, 180
    renderer = Renderer(face, width, height, 2)
    shut, wide = renderer.frame(0).astype(int), renderer.frame(12).astype(int)
    head = Head.open("ada")
    lips = face.skin.frames[12][np.concatenate([head.lip_dist["upper"], head.lip_dist["lower"]])].mean(axis=0)
    camera = Camera.framing(face.skin.neutral, width, height)
    column, row, _ = camera.project(lips[None])[0].astype(int)
    assert (
        wide[row - 1 : row + 2, column - 2 : column + 3].mean()
        < shut[row - 1 : row + 2, column - 2 : column + 3].mean() - 50
    )
    eyes = camera.project(head.eye_centres + np.array([0, 0, 1.4], np.float32)).astype(int)
    for column, row, _ in eyes:
        assert (
            np.abs(
                wide[row - 3 : row + 4, column - 8 : column + 9] - shut[row - 3 : row + 4, column - 8 : column + 9]
            ).max()
            > 60
        )
    corners = wide[[0, 0], [0, -1]]
    assert np.abs(corners - corners.mean()).max() < 12  # a neutral backdrop
    assert (shut[: height // 4] == wide[: height // 4])[:8].all()


def test_points_without_polygons(tmp_path: Path) -> None:
    picture = Renderer(bare_face(), 160, 120, 1).frame(4)
    empty = Renderer(replace(bare_face(num_verts=1)), 160, 120, 1).frame(0)
    skin_coloured = (picture[..., 0].astype(int) - picture[..., 2]) > 20
    assert 30 < skin_coloured.sum() < 5000
    assert empty.shape == (120, 160, 3)
