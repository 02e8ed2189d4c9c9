"""The stage as a whole: against the reference, reused, stopped and gone on with, on little data, on wrong data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ACTOR, Configure

from audio2face.geometry import open_cache
from audio2face.preproc.run import preprocess


def _json(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def expected(reference_data: Path) -> Path:
    return reference_data / "preproc" / "expected"


def test_every_artifact_agrees_with_the_reference(configure: Configure, expected: Path) -> None:
    run = preprocess(configure(KEEP_INTERMEDIATES=True), ACTOR).run.path
    for name in ("skin_pruned_poses_sim.json", "skin_pruned_poses_pca_final.json"):
        path = f"pca/skin/intermediate/{name}"
        assert (run / path).read_text() == (expected / path).read_text()
    signs = {part: _compare_shapes(run, expected, part) for part in ("skin", "tongue")}
    for part, sign in signs.items():
        ours, theirs = (np.load(root / f"pca/{part}/{part}_pca_coeffs_all.npz") for root in (run, expected))
        assert ours.files == theirs.files
        for shot in ours.files:
            assert ours[shot].dtype == np.float32
            np.testing.assert_allclose(ours[shot] * sign, theirs[shot], atol=1e-4 * np.abs(theirs[shot]).max())
    _compare_deploy(run, expected, signs)
    stabilised = "pca/tongue/intermediate/tongue_cache_stab"
    for path in (expected / stabilised).glob("*/*.xml"):
        ours, theirs = (open_cache(root / stabilised / path.parent.name / path.name) for root in (run, expected))
        np.testing.assert_allclose(ours.read(0, len(ours)), theirs.read(0, len(theirs)), atol=1e-4)


def _compare_shapes(run: Path, expected: Path, part: str) -> np.ndarray:
    """Compares components up to sign; returns the signs."""
    ours, theirs = (np.load(root / f"pca/{part}/{part}_pca_shapes.npz") for root in (run, expected))
    assert ours.files == theirs.files
    assert ours["shapes_matrix"].shape == theirs["shapes_matrix"].shape
    cosines = np.einsum("kvi,kvi->k", ours["shapes_matrix"].astype(float), theirs["shapes_matrix"].astype(float))
    assert np.abs(cosines).min() > 0.9999999
    np.testing.assert_array_equal(ours["shapes_mean"], theirs["shapes_mean"])
    ours, theirs = (np.load(root / f"pca/{part}/intermediate/{part}_pca_shapes_inter.npz") for root in (run, expected))
    assert ours.files == theirs.files
    for name in ours.files:
        assert (ours[name].shape, ours[name].dtype) == (theirs[name].shape, theirs[name].dtype)
        if name.startswith("eva"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4)
    return np.sign(cosines)


def _compare_deploy(run: Path, expected: Path, signs: dict[str, np.ndarray]) -> None:
    ours, theirs = (np.load(root / "deploy/network_data.npz") for root in (run, expected))
    assert ours.files == theirs.files
    for name in ours.files:
        assert (ours[name].shape, ours[name].dtype) == (theirs[name].shape, np.float32)
        sign = signs[name.rpartition("_")[2]][:, None, None] if name.startswith("shapes_matrix") else 1
        np.testing.assert_allclose(ours[name] * sign, theirs[name], atol=1e-5)
    np.testing.assert_allclose(*(np.load(root / "deploy/mean_geometry.npy") for root in (run, expected)), atol=1e-5)
    for name in ("data_info.json", "shots.json", "clips_template.py"):
        assert (run / "deploy" / name).read_bytes() == (expected / "deploy" / name).read_bytes()
