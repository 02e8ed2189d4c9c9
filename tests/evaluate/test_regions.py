"""Regions of a face: from lists, from files, and from what moves."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.evaluate.lips import lip_distance
from audio2face.evaluate.regions import Region, Regions, parse_region, read_region

NEUTRAL = np.random.default_rng(0).uniform(-5, 5, (50, 3)).astype(np.float32)
PAIRS = np.array([[3, 4, 4], [8, 7, 9]])  # vertex 4 is paired twice


def test_opening_is_the_lip_distance_above_neutral() -> None:
    regions = Regions.build(NEUTRAL, PAIRS)
    skin = NEUTRAL + np.random.default_rng(1).standard_normal((6, 50, 3))
    expected = lip_distance(skin[:, PAIRS]) - lip_distance(NEUTRAL[None, PAIRS])
    kept = regions.mouth.region.vertices
    np.testing.assert_allclose(regions.mouth.opening(skin[:, kept] - NEUTRAL[kept]), expected, atol=1e-5)
    assert kept.tolist() == regions.lips.vertices.tolist() == [3, 4, 7, 8, 9]


def test_upper_face_lies_above_the_mask() -> None:
    upper = Regions.build(NEUTRAL, PAIRS).upper_face
    assert upper is not None
    heights = (NEUTRAL[:, 1] - NEUTRAL[:, 1].min()) / np.ptp(NEUTRAL[:, 1])
    assert set(upper.vertices) == set(np.flatnonzero(heights > 0.6 + 0.0085 * np.log(9)))  # 1 / (1 + 9) is 0.1


def test_lists_of_a_dataset(tmp_path: Path) -> None:
    np.save(tmp_path / "neutral.npy", NEUTRAL)
    (tmp_path / "dist.json").write_text(json.dumps({"upper": [3, 4], "lower": [8, 7]}))
    edges = {"top": [1], "bottom": [2]}
    (tmp_path / "size.json").write_text(json.dumps({"upper_lip": edges, "lower_lip": {"top": [8], "bottom": [12]}}))
    paths = {
        "SKIN_NEUTRAL_FPATH": tmp_path / "neutral.npy",
        "SKIN_LIP_DIST_VERTEX_LIST_FPATH": tmp_path / "dist.json",
        "SKIN_LIP_SIZE_VERTEX_LIST_FPATH": tmp_path / "size.json",
    }
    dataset = ActorDataset("mary", 30.0, paths, ("neutral",), {})
    regions = Regions.from_dataset(dataset)
    assert regions.lips.vertices.tolist() == [1, 2, 3, 4, 7, 8, 12]
    assert regions.lips.source == "SKIN_LIP_DIST_VERTEX_LIST_FPATH and SKIN_LIP_SIZE_VERTEX_LIST_FPATH"
    assert regions.pairs is not None
    assert regions.pairs.tolist() == [[3, 4], [8, 7]]
    given = Region(np.array([20, 21]), "brows.json")
    replaced = Regions.from_dataset(dataset, given={"upper_face": given, "lower_face": given})
    assert list(replaced.all()) == ["lips", "mouth", "upper_face", "lower_face"]
    assert replaced.upper_face is given
    (tmp_path / "dist.json").write_text(json.dumps({"upper": [50], "lower": [8]}))
    with pytest.raises(UserError, match=r"dist\.json: .* names vertex 50 of a mesh of 50 vertices"):
        Regions.from_dataset(ActorDataset("mary", 30.0, paths, ("neutral",), {}))


def test_without_lists_what_moves_most_below_is_the_mouth() -> None:
    lower = np.flatnonzero(NEUTRAL[:, 1] < 0)
    moving = lower[2:6]
    motion = np.repeat(NEUTRAL[None], 20, axis=0)
    opened = np.abs(np.sin(np.arange(20)))
    motion[:, moving, 1] -= opened[:, None]
    motion[:, NEUTRAL[:, 1].argmax(), 1] += 9 * opened  # brows move more
    regions = Regions.build(NEUTRAL, motion=[motion[:10], motion[10:]])
    assert regions.lips.vertices.tolist() == moving.tolist()
    assert regions.lips.source == "the 4 vertices of the lower face that move most in recorded motion"
    np.testing.assert_allclose(regions.mouth.opening(motion[:, moving] - NEUTRAL[moving]), opened * 2 / 2, atol=1e-5)
    with pytest.raises(UserError, match="nothing marks the lips"):
        Regions.build(NEUTRAL)
    with pytest.raises(UserError, match="does not move"):
        Regions.build(NEUTRAL, motion=[NEUTRAL[None]])


def test_a_dataset_without_lists_is_looked_through(tmp_path: Path) -> None:
    np.save(tmp_path / "neutral.npy", NEUTRAL)
    moving = np.flatnonzero(NEUTRAL[:, 1] < 0)[:3]
    for index in range(3):
        skin = np.repeat(NEUTRAL[None], 9, axis=0)
        skin[:, moving, 1] -= np.linspace(0, index, 9)[:, None]
        (tmp_path / f"skin/s{index}").mkdir(parents=True)
        np.save(tmp_path / f"skin/s{index}/s{index}.npy", skin.astype(np.float32))
    paths = {
        "SKIN_NEUTRAL_FPATH": tmp_path / "neutral.npy",
        "SKIN_CACHE_ROOT": tmp_path / "skin",
        "AUDIO_ROOT": tmp_path / "audio",
    }
    regions = Regions.from_dataset(ActorDataset("mary", 30.0, paths, ("neutral",), {}))
    assert regions.lips.vertices.tolist() == moving.tolist()
    assert regions.pairs is None


def test_checksum_is_that_of_sorted_indices() -> None:
    region = Region(np.array([2, 300]), "")
    assert region.sha256 == hashlib.sha256(struct.pack("<2q", 2, 300)).hexdigest()


def test_files(tmp_path: Path) -> None:
    (tmp_path / "lips.json").write_text("[9, 3, 9]")
    np.save(tmp_path / "lips.npy", np.array([9, 3], np.uint16))
    for name in ("lips.json", "lips.npy"):
        region = read_region(tmp_path / name, 10)
        assert region.vertices.tolist() == [3, 9]
        assert region.source == str(tmp_path / name)
        with pytest.raises(UserError, match=rf"{name}: .*vertex 9 of a mesh of 9"):
            read_region(tmp_path / name, 9)
    assert parse_region("lips=a=b.json") == ("lips", Path("a=b.json"))


@pytest.mark.parametrize("text", ["lips", "lips=", "nose=a.json"])
def test_malformed_arguments(text: str) -> None:
    with pytest.raises(UserError, match="is not NAME=FILE"):
        parse_region(text)


@pytest.mark.parametrize("content", ["[]", "[1.5]", "[true]", "[-1]", "{}", '["1"]', "[99999999999]"])
def test_broken_lists(content: str, tmp_path: Path) -> None:
    (tmp_path / "lips.json").write_text(content)
    with pytest.raises(UserError, match=r"lips\.json: .*vertex numbers"):
        read_region(tmp_path / "lips.json")


@pytest.mark.parametrize("values", [np.zeros((2, 2), np.int64), np.zeros(3), np.array([-1]), np.zeros(0, np.int64)])
def test_broken_arrays(values: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "lips.npy", values)
    with pytest.raises(UserError, match=r"lips\.npy: "):
        read_region(tmp_path / "lips.npy")
