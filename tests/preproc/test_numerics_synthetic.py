"""The numerical core against the direct way of computing the same, and at its edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio2face.animation.rigid import fit_rigid
from audio2face.errors import UserError
from audio2face.geometry import PointCache, pca
from audio2face.geometry.pca import coefficients, fit_basis
from audio2face.geometry.point_cache import StridedFrames
from audio2face.preproc import matmul, prune, selection
from audio2face.preproc.matmul import MatmulBackend, NumpyBackend, TorchBackend
from audio2face.preproc.poses import MaskedPoses, frames_by_shot, stack_poses, vertex_indices
from audio2face.preproc.prune import Distances, prune_similar
from audio2face.preproc.selection import select_distinct
from audio2face.preproc.tongue import stabilise
from audio2face.types import BoolArray, Int64Array

Floats = npt.NDArray[np.floating]
# What a GPU runs is tried on the processor: the same operations of PyTorch, there and back.
WAYS: list[MatmulBackend] = [NumpyBackend(), TorchBackend("cpu")]


def as_cache(frames: npt.ArrayLike) -> PointCache:
    """Frames `[frames, verts, 3]` or `[frames, 3 * verts]` as if read from a file."""
    array = np.asarray(frames, np.float32)
    array = array.reshape(len(array), -1, 3)
    return PointCache(Path("memory"), *array.shape[:2], array.dtype, StridedFrames(array))


def moving_poses(count: int, coords: int, modes: int, noise: float = 1e-3) -> Floats:
    """Smooth motion of falling amplitudes, far from the origin as heads are: `[count, coords]` float32."""
    rng = np.random.default_rng(5)
    motion = np.cumsum(rng.standard_normal((count, modes)), axis=0) / np.arange(1, modes + 1)
    rows = 100 + motion @ rng.standard_normal((modes, coords)) + noise * rng.standard_normal((count, coords))
    return rows.astype(np.float32)


def select_directly(poses: Floats, iterations: int, threshold: float) -> list[int]:
    """The selection as it is defined, with a decomposition of the coordinates at every step."""
    poses = poses.astype(np.float64)
    rows = [int(len(poses) / 4 * seed) for seed in range(4)]
    for _ in range(iterations):
        mean = poses[rows].mean(axis=0)
        _, singular, basis = np.linalg.svd(poses[rows] - mean, full_matrices=False)
        ratio = np.cumsum(singular**2) / np.sum(singular**2)
        basis = basis[: int(np.flatnonzero(ratio > threshold)[0]) + 1]
        centred = poses - mean
        errors = np.linalg.norm(centred - centred @ basis.T @ basis, axis=1)
        errors[rows] = 0
        rows.append(int(errors.argmax()))
    return rows


def prune_directly(rows: Floats, radius: float, stride: int = 10) -> list[int]:
    """The repeated pruning as it is defined, with distances of differences."""
    kept, before = list(range(len(rows))), -1
    while len(kept) != before and len(kept) > 10:
        before = len(kept)
        anchors, exact = kept[::stride], rows[kept].astype(np.float64)
        apart = np.stack([np.linalg.norm(exact - rows[anchor], axis=1) for anchor in anchors])
        far = (apart > radius).all(axis=0)
        far[::stride] = True
        kept = np.asarray(kept)[far].tolist()
    return kept


@pytest.mark.parametrize("threshold", [0.9999, 0.97])
@pytest.mark.parametrize("sketched", [3, 30, 512], ids="{} poses sketched".format)
@pytest.mark.parametrize("products", WAYS, ids=lambda way: way.name)
def test_selection_equals_the_direct_way(
    threshold: float, sketched: int, products: MatmulBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "_MOST_SKETCHED", sketched)
    poses = moving_poses(700, 90, modes=40)
    picks = list(select_distinct(poses, 60, threshold, products=products))
    assert [pick.row for pick in picks] == select_directly(poses, 60, threshold)


def test_selection_ends_when_nothing_is_left_to_express() -> None:
    flat = moving_poses(50, 30, modes=3, noise=0.0).astype(np.float64)
    plane = flat[:3].mean(axis=0)
    basis = np.linalg.svd(flat[:10] - plane, full_matrices=False)[2][:3]
    exact = 100 + (np.rint((flat - plane) @ basis.T) @ np.rint(8 * basis))  # small integers: float32 holds them
    rows = [pick.row for pick in select_distinct(exact.astype(np.float32), 40, 1.0)]
    assert len(rows) == len(set(rows)) < 10


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_selection_of_a_handful_of_poses(count: int) -> None:
    picks = list(select_distinct(moving_poses(count, 30, modes=3), 20))
    assert sorted(pick.row for pick in picks) == list(range(count))


@pytest.mark.parametrize("products", WAYS, ids=lambda way: way.name)
def test_pruning_equals_the_direct_way(products: MatmulBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = moving_poses(120, 60, modes=8)
    expected = prune_directly(rows, 12.0)
    assert 10 < len(expected) < 110
    assert prune_similar(as_cache(rows), 12.0, products=products).tolist() == expected
    monkeypatch.setattr(prune, "_READ_BYTES", 25 * 60 * 4)
    monkeypatch.setattr(prune, "_FULL_BYTES", 3 * 60 * 8)
    assert prune_similar(as_cache(rows), 12.0, products=products).tolist() == expected


@given(
    st.integers(0, 1000),
    st.sampled_from([1e-4, 1e-2, 1.0]),
    st.floats(0.05, 1.2),
    st.integers(1, 5),
    st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_bounded_pruning_equals_the_direct_way(
    seed: int, noise: float, radius: float, stride: int, most_directions: int
) -> None:
    """Poses near a few directions, far from any, repeated exactly and by chance; few anchors span the sketch."""
    rng = np.random.default_rng(seed)
    count, modes = int(rng.integers(1, 90)), int(rng.integers(1, 30))
    rows = moving_poses(count, 36, modes, noise)[rng.integers(0, count, count)]
    spread = float(np.linalg.norm(rows - rows.mean(axis=0), axis=1).mean())
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(prune, "_MOST_DIRECTIONS", most_directions)
        changed.setattr(prune, "_MOST_PAIRS", 7**2)
        kept = prune_similar(as_cache(rows), radius * spread, stride)
    assert kept.tolist() == prune_directly(rows, radius * spread, stride)


def test_bounds_leave_few_pairs_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    in_full = Distances._near_in_full

    def count(self: Distances, anchors: Int64Array, frames: Int64Array) -> BoolArray:
        compared.append(len(anchors) * len(frames))
        return in_full(self, anchors, frames)

    monkeypatch.setattr(Distances, "_near_in_full", count)
    rows = moving_poses(600, 90, modes=12)
    expected = prune_directly(rows, 12.0)
    assert prune_similar(as_cache(rows), 12.0).tolist() == expected
    assert sum(compared) < 0.01 * len(rows) * len(rows)  # the plain way compares more than a tenth


def test_products_are_made_where_they_are_made_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "_has_cuda_driver", lambda: True)
    monkeypatch.setattr(matmul, "TorchBackend", lambda device: TorchBackend("cpu"))
    for gpu_seconds, chosen in ((0.1, "cpu"), (9.0, "processor")):
        monkeypatch.setattr(
            matmul, "_trial_seconds", lambda way, seconds=gpu_seconds: {"cpu": seconds}.get(way.name, 1.0)
        )
        assert matmul.fastest_backend.__wrapped__().name == chosen


def test_a_gpu_that_cannot_be_used_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: str) -> TorchBackend:
        raise RuntimeError("no CUDA GPUs are available")

    monkeypatch.setattr(matmul, "_has_cuda_driver", lambda: True)
    monkeypatch.setattr(matmul, "TorchBackend", refuse)
    assert matmul.fastest_backend.__wrapped__().name == "processor"


def test_pruning_keeps_short_shots_whole_unless_told_otherwise() -> None:
    still = np.ones((10, 4, 3))
    assert len(prune_similar(as_cache(still), 1.0)) == 10
    assert prune_similar(as_cache(still), 1.0, keep_whole=0).tolist() == [0]


def test_pruning_names_a_frame_that_is_not_finite() -> None:
    frames = np.ones((30, 4, 3))
    frames[17, 2, 1] = np.nan
    with pytest.raises(UserError, match="frame 17"):
        prune_similar(as_cache(frames), 1.0)


def test_masks_choose_vertices_by_index_or_boolean() -> None:
    cache = as_cache(moving_poses(4, 15, modes=2))
    booleans = np.array([True, False, True, True, False])
    for mask in (booleans, np.array([3, 0, 2, 3])):
        masked = MaskedPoses(cache, vertex_indices(mask, 5))
        np.testing.assert_array_equal(masked.read(1, 3), cache.read(1, 3)[:, [0, 2, 3]])
    for wrong in (np.array([5]), np.array([-1]), np.ones(4, bool), np.zeros(5, bool), np.ones(2), np.ones((1, 5), int)):
        with pytest.raises(UserError, match="vertex mask"):
            vertex_indices(wrong, 5)


def test_stacked_rows_and_their_way_back(tmp_path: Path) -> None:
    shots = {"b": as_cache(moving_poses(6, 9, modes=2)), "a": as_cache(moving_poses(4, 9, modes=2) + 1)}
    kept = {"b": np.array([0, 1, 4]), "a": np.array([2, 3])}
    rows = stack_poses(shots, kept, tmp_path / "rows.npy")
    expected = np.concatenate([shots[name][kept[name]].reshape(-1, 9) for name in shots])
    np.testing.assert_array_equal(rows, expected)
    back = frames_by_shot([4, 0, 2, 2], kept)
    assert {name: frames.tolist() for name, frames in back.items()} == {"b": [0, 4], "a": [3]}


@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
@pytest.mark.parametrize("about_neutral", [False, True])
def test_basis_equals_a_decomposition_of_the_rows(shape: tuple[int, int], about_neutral: bool) -> None:
    rows = moving_poses(*shape, modes=20)
    mean = rows[0] if about_neutral else rows.mean(axis=0, dtype=np.float64)
    _, singular, vectors = np.linalg.svd(rows - mean.astype(np.float64), full_matrices=False)
    basis = fit_basis(rows, rows[0] if about_neutral else None, 0.999)
    share = np.cumsum(singular**2) / np.sum(singular**2)
    count = basis.num_components
    assert share[count - 1] > 0.999 >= share[count - 2]
    np.testing.assert_allclose(basis.eigenvalues, singular[:count] ** 2 / (len(rows) - 1), rtol=1e-5)
    np.testing.assert_allclose(basis.total_variance, np.sum(singular**2) / (len(rows) - 1), rtol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(basis.components * vectors[:count], axis=1)), 1, atol=1e-6)
    peaks = np.abs(basis.components).argmax(axis=1)
    assert (basis.components[np.arange(count), peaks] > 0).all()
    found = coefficients(as_cache(rows[:, :36]), fit_basis(rows[:, :36], num_components=2))
    assert found.shape == (len(rows), 2)


@pytest.mark.parametrize("threshold", [0.99, 0.99999, 1.0])
def test_iterated_basis_equals_the_decomposed_one(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = moving_poses(500, 400, modes=60, noise=0.0)
    expected = fit_basis(rows, rows[3], threshold, 60 if threshold == 1.0 else None)
    monkeypatch.setattr(pca, "_DENSE_LIMIT", 100)
    found = fit_basis(rows, rows[3], threshold, 60 if threshold == 1.0 else None)
    assert found.num_components == expected.num_components
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-5)
    np.testing.assert_allclose(found.components, expected.components, atol=1e-4)


@pytest.mark.parametrize("limit", [2500, 10])
def test_basis_stops_at_the_rank(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pca, "_DENSE_LIMIT", limit)
    rows = np.zeros((60, 90), np.float32)
    rows[:, :7] = np.random.default_rng(0).integers(-9, 9, (60, 7))
    assert fit_basis(rows, variance_threshold=1.0).num_components == 7
    assert fit_basis(rows, num_components=7).num_components == 7
    with pytest.raises(UserError, match="span only 7"):
        fit_basis(rows, num_components=8)


def test_basis_of_poses_without_motion_is_refused() -> None:
    still = np.full((5, 9), 170.0, np.float32)
    with pytest.raises(UserError, match="same as the mean"):
        fit_basis(still)
    still[2] = np.inf
    with pytest.raises(UserError, match="finite"):
        fit_basis(still)


def test_rigid_motion_is_undone_and_mirrors_stay_rotations() -> None:
    rng = np.random.default_rng(1)
    target = rng.standard_normal((12, 3)) * [3, 2, 1] + 170
    rotations = np.linalg.qr(rng.standard_normal((50, 3, 3)))[0]
    rotations *= np.sign(np.linalg.det(rotations))[:, None, None]
    moved = np.matmul(target - 170, rotations.transpose(0, 2, 1)) + rng.standard_normal((50, 1, 3))
    np.testing.assert_allclose(fit_rigid(moved, target).apply(moved), np.broadcast_to(target, moved.shape), atol=1e-11)
    mirrored = moved * [1, 1, -1]
    np.testing.assert_allclose(np.linalg.det(fit_rigid(mirrored, target).rotations), 1)
    flat = target * [1, 1, 0]
    np.testing.assert_allclose(np.linalg.det(fit_rigid(flat[None], flat).rotations), 1)


def test_a_tongue_root_that_fixes_no_rotation_is_refused() -> None:
    neutral = np.random.default_rng(2).standard_normal((9, 3))
    neutral[:4] = np.outer(np.arange(4), [1, 2, 3])
    cache = as_cache(np.stack([neutral] * 3))
    with pytest.raises(UserError, match="one line"):
        stabilise(cache, neutral, [0, 1, 2, 3])
    with pytest.raises(UserError, match="vertex 9"):
        stabilise(cache, neutral, [0, 5, 9])
    with pytest.raises(UserError, match="neutral tongue"):
        stabilise(cache, neutral[:8], [0, 5, 6])
