"""The numerical core against the reference's artifacts: the same frames, the same components, the same tongue."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import subspace_angles

from audio2face.geometry import PointCache, find_cache, open_cache
from audio2face.geometry.pca import PcaBasis, coefficients, fit_basis
from audio2face.preproc.poses import frames_by_shot, stack_poses
from audio2face.preproc.prune import prune_similar
from audio2face.preproc.selection import select_distinct
from audio2face.preproc.tongue import StabilisedTongue, stabilise

SHOTS = ["s1_neutral", "s2_joy", "s3_anger", "s4_neutral"]


@pytest.fixture
def dataset(reference_data: Path) -> Path:
    return reference_data / "preproc/dataset"


@pytest.fixture
def pca(reference_data: Path) -> Path:
    return reference_data / "preproc/expected/pca"


@pytest.fixture
def settings(reference_data: Path) -> dict[str, float]:
    return dict(json.loads((reference_data / "preproc/config.json").read_text()))


@pytest.fixture
def skin(dataset: Path) -> dict[str, PointCache]:
    return open_shots(dataset / "cache/skin")


@pytest.fixture
def tongue(dataset: Path) -> dict[str, StabilisedTongue]:
    neutral = np.load(dataset / "geom/tongue/neutral_pose.npy")
    root = json.loads((dataset / "geom/tongue/rigid_vertex_list.json").read_text())
    return {name: stabilise(cache, neutral, root) for name, cache in open_shots(dataset / "cache/tongue").items()}


def open_shots(root: Path) -> dict[str, PointCache]:
    return {name: open_cache(find_cache(root, name).path) for name in SHOTS}


def frame_lists(path: Path) -> dict[str, npt.NDArray[np.int64]]:
    return {name: np.array(frames, np.int64) for name, frames in json.loads(path.read_text()).items()}


def assert_same_basis(basis: PcaBasis, vectors: npt.NDArray[np.float32], values: npt.NDArray[np.float32]) -> None:
    """`vectors` `[coords, components]` span the same space, one by one up to sign."""
    assert basis.components.shape == vectors.T.shape
    assert basis.components.dtype == basis.eigenvalues.dtype == basis.mean.dtype == np.float32
    assert subspace_angles(basis.components.T.astype(float), vectors.astype(float)).max() < 1e-3
    cosines = np.abs(np.einsum("kc,ck->k", basis.components.astype(float), vectors.astype(float)))
    assert cosines.min() > 0.9999999
    np.testing.assert_allclose(basis.eigenvalues, values, rtol=1e-4)


def test_pruned_frames_are_those_of_the_reference(
    skin: dict[str, PointCache], pca: Path, settings: dict[str, float]
) -> None:
    kept = {name: prune_similar(cache, settings["SKIN_PRUNE_SIM_DIST"]).tolist() for name, cache in skin.items()}
    assert kept == json.loads((pca / "skin/intermediate/skin_pruned_poses_sim.json").read_text())


def test_selected_frames_are_those_of_the_reference(
    skin: dict[str, PointCache], pca: Path, settings: dict[str, float], tmp_path: Path
) -> None:
    kept = frame_lists(pca / "skin/intermediate/skin_pruned_poses_sim.json")
    poses = stack_poses(skin, kept, tmp_path / "poses.npy")
    picks = list(select_distinct(poses, int(settings["SKIN_SELECT_DISTINCT_MAX_ITER"])))
    selected = {name: frames.tolist() for name, frames in frames_by_shot([pick.row for pick in picks], kept).items()}
    assert selected == json.loads((pca / "skin/intermediate/skin_pruned_poses_pca_final.json").read_text())


def test_skin_basis_and_coefficients(skin: dict[str, PointCache], dataset: Path, pca: Path, tmp_path: Path) -> None:
    selected = frame_lists(pca / "skin/intermediate/skin_pruned_poses_pca_final.json")
    neutral = np.load(dataset / "geom/skin/neutral_pose.npy").reshape(-1)
    basis = fit_basis(stack_poses(skin, selected, tmp_path / "selected.npy"), neutral, 0.9995)
    with np.load(pca / "skin/intermediate/skin_pca_shapes_inter.npz") as expected:
        assert_same_basis(basis, expected["evecs_t"], expected["evals_t"])
        np.testing.assert_array_equal(basis.mean, expected["mean"])
        signs = np.sign(np.einsum("kc,ck->k", basis.components, expected["evecs_t"]))
    with np.load(pca / "skin/skin_pca_coeffs_all.npz") as expected:
        for name, cache in skin.items():
            found = coefficients(cache, basis)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found * signs, expected[name], atol=1e-4 * np.abs(expected[name]).max())


def test_stabilised_tongue(tongue: dict[str, StabilisedTongue], pca: Path) -> None:
    for name, expected in open_shots(pca / "tongue/intermediate/tongue_cache_stab").items():
        frames = tongue[name].read(0, expected.num_frames)
        assert frames.dtype == np.float32
        np.testing.assert_allclose(frames, expected.read(0, expected.num_frames), atol=1e-4)


def test_tongue_basis_and_coefficients(
    tongue: dict[str, StabilisedTongue], dataset: Path, pca: Path, tmp_path: Path
) -> None:
    kept = {name: prune_similar(shot, 10.0, keep_whole=0, repeat=False) for name, shot in tongue.items()}
    neutral = np.load(dataset / "geom/tongue/neutral_pose.npy").reshape(-1)
    basis = fit_basis(stack_poses(tongue, kept, tmp_path / "tongue.npy"), neutral, 0.9995)
    with np.load(pca / "tongue/intermediate/tongue_pca_shapes_inter.npz") as expected:
        assert_same_basis(basis, expected["evecs"], expected["evals"])
        np.testing.assert_allclose(basis.mean, expected["mean"], rtol=1e-7)
        signs = np.sign(np.einsum("kc,ck->k", basis.components, expected["evecs"]))
    with np.load(pca / "tongue/tongue_pca_coeffs_all.npz") as expected:
        for name, shot in tongue.items():
            found = coefficients(shot, basis)
            np.testing.assert_allclose(found * signs, expected[name], atol=1e-4 * np.abs(expected[name]).max())
