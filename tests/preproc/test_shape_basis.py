"""Blend shapes as the basis of the skin: coefficients are the weights that the animation was made with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from reference_actor import ACTOR, Configure

from audio2face.cli import stages
from audio2face.config import Configuration
from audio2face.dataset.layout import ActorGeometry, ShapeSet, write_actor_geometry
from audio2face.errors import UserError
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.run import preprocess
from audio2face.types import Float32Array

FRAMES = {"s1_neutral": 40, "s2_joy": 60, "s3_anger": 50, "s4_neutral": 70}
NAMES = ("jawOpen", "mouthLeft", "mouthRight", "browUp", "tongueOut")  # the last is not solved for
Shapes = dict[str, Float32Array]


@pytest.fixture
def weights() -> Shapes:
    rng = np.random.default_rng(0)
    found = {name: rng.uniform(-0.3, 1.2, (count, len(NAMES))).clip(0, 1) for name, count in FRAMES.items()}
    return {name: (each * [1, 1, 1, 1, 0]).astype(np.float32) for name, each in found.items()}


@pytest.fixture
def rig(reference_data: Path, tmp_path: Path, weights: Shapes) -> tuple[Path, Float32Array]:
    """The reference's data set with shots that shapes pose, and the shapes, which are not orthogonal."""
    root = shutil.copytree(reference_data / "preproc" / "dataset", tmp_path / "dataset")
    neutral = np.load(root / "geom/skin/neutral_pose.npy")
    low = np.clip(1 - (neutral[:, 1] - neutral[:, 1].min()) / 20, 0, 1)[:, None]
    waves = np.random.default_rng(1).normal(0, 0.2, (len(NAMES), *neutral.shape))
    deltas = (low * (waves + np.array([0, -1.0, 0.2]))).astype(np.float32)
    write_actor_geometry(root, ActorGeometry(neutral=neutral, shapes=ShapeSet(names=NAMES, deltas=deltas)))
    for name, rows in weights.items():
        folder = root / "cache/skin" / name
        shutil.rmtree(folder)
        folder.mkdir()
        np.save(folder / f"{name}.npy", neutral + np.tensordot(rows, deltas, axes=1).astype(np.float32))
    return root, deltas


@pytest.fixture
def load(configure: Configure, rig: tuple[Path, Float32Array]) -> Callable[..., Configuration]:
    data = {"BLENDSHAPE_SKIN_FPATH": "bs_skin.npz", "BLENDSHAPE_SKIN_CONFIG_FPATH": "bs_skin_config.json"}
    paths = {name: {ACTOR: str(rig[0] / "bs_data" / file)} for name, file in data.items()}

    def load_one(**changes: object) -> Configuration:
        given = {"SKIN_BASIS": "blendshapes", **paths, **changes}
        return configure(minimal=True, root=rig[0], **given)

    return load_one


def test_coefficients_are_the_weights_and_decode_to_the_mesh(
    load: Callable[..., Configuration], rig: tuple[Path, Float32Array], weights: Shapes
) -> None:
    run = preprocess(load(), ACTOR).run.path
    made = PreprocArtifacts.open(run)
    np.testing.assert_array_equal(made.skin.matrix, rig[1])
    np.testing.assert_array_equal(made.network_data.read("shapes_matrix_skin"), rig[1])
    for name, rows in weights.items():
        found = made.skin_coefficients.read(name)
        np.testing.assert_allclose(found, rows, atol=5e-4)
        cache = np.load(rig[0] / f"cache/skin/{name}/{name}.npy")
        np.testing.assert_allclose(made.skin.mean + np.tensordot(found, rig[1], axes=1), cache, atol=2e-4)
    assert made.data_info.counts["num_shapes_skin"] == len(NAMES)
    report = json.loads((run / "report/report.json").read_text())["skin"]
    assert (report["basis"], report["components"]) == ("blendshapes", len(NAMES))
    assert report["reconstruction_error_mm"]["worst_mm"] < 0.01
    assert not list(run.glob("pca/skin/intermediate/*"))


def test_an_animation_of_other_shapes_is_refused(
    load: Callable[..., Configuration], rig: tuple[Path, Float32Array]
) -> None:
    path = rig[0] / "cache/skin/s2_joy/s2_joy.npy"
    frames = np.load(path)
    frames[:, :20] += np.float32(0.6)  # cm
    np.save(path, frames)
    with pytest.raises(UserError, match="do not make up the animation") as refused:
        preprocess(load(), ACTOR)
    assert "takes up to 2 mm" in str(refused.value)
    assert 'SKIN_BASIS = "pca"' in str(refused.value)


def test_missing_and_foreign_shapes_are_found_by_the_check_first(
    load: Callable[..., Configuration],
    rig: tuple[Path, Float32Array],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without = {name: {} for name in ("BLENDSHAPE_SKIN_FPATH", "BLENDSHAPE_SKIN_CONFIG_FPATH")}
    with pytest.raises(UserError, match="would spoil training"):
        preprocess(load(**without), ACTOR)
    assert "blendshape-basis" in capsys.readouterr().out
    file = rig[0] / "bs_data/bs_skin.npz"
    with np.load(file) as archive:
        fewer = {name: archive[name] if name in ("poseNames", "rig_version") else archive[name][1:] for name in archive}
    np.savez(file, **fewer)
    with pytest.raises(UserError, match="would spoil training"):
        preprocess(load(), ACTOR)
    assert "blendshape-shape" in capsys.readouterr().out
    configuration = load(**without)
    monkeypatch.setattr(stages, "open_configuration", lambda *_: configuration)
    assert stages.check(["small"]) == 1


def test_a_number_of_components_contradicts(load: Callable[..., Configuration]) -> None:
    with pytest.raises(UserError, match=r"SKIN_FORCE_COMPONENTS: has no effect"):
        load(SKIN_FORCE_COMPONENTS={ACTOR: 4})
