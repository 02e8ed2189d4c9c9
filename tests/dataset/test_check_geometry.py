"""Inconsistent data: another unit, other axes, another vertex order, or parts of another face.

Every error is added to a correct dataset, and must be reported in words that name its cause.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from speaking_faces import (
    FEWEST,
    FIRST,
    SECOND,
    SHOTS,
    Change,
    change,
    change_all,
    change_everything,
    change_list,
    change_shot,
    check,
    egg,
    write_cache,
    write_egg,
    write_head,
)

from audio2face.dataset.checks import CheckReport
from audio2face.dataset.checks.report import Finding

Plant = Callable[[Path], None]

WITH_NEUTRAL = (*FEWEST, "SKIN_NEUTRAL_FPATH")


def metres(points: np.ndarray) -> np.ndarray:
    return points / 100


def millimetres(points: np.ndarray) -> np.ndarray:
    return points * 10


def inches(points: np.ndarray) -> np.ndarray:
    return points / 2.54


def z_up(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)


def metres_z_up(points: np.ndarray) -> np.ndarray:
    return z_up(points) / 100


def back_to_front(points: np.ndarray) -> np.ndarray:
    return points * np.float32([1, 1, -1])


def upside_down(points: np.ndarray) -> np.ndarray:
    return points * np.float32([1, -1, 1])


def mirrored(points: np.ndarray) -> np.ndarray:
    return points * np.float32([-1, 1, 1])


def sideways(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 2], points[..., 1], -points[..., 0]], axis=-1)


WHOLE_SCENES: dict[Change, tuple[str, str]] = {
    metres: ("units", "in metres Multiply all its lengths by 100:"),
    millimetres: ("units", "in millimetres Multiply all its lengths by 0.1:"),
    inches: ("units", "in inches Multiply all its lengths by 2.54:"),
    z_up: ("axes", "+z points up -y (x, z, -y)"),
    back_to_front: ("axes", "back to front looks along -z (x, y, -z)"),
    upside_down: ("axes", "upside down (x, -y, z)"),
    sideways: ("axes", "looks along +x (-z, y, x)"),
}


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("head") / "data"
    write_head(root)
    return root


@pytest.fixture
def data(head: Path, tmp_path: Path) -> Path:
    """A copy of the head's data that may be spoiled."""
    return Path(shutil.copytree(head, tmp_path / "data"))


def text_of(finding: Finding) -> str:
    return f"{finding.message} -> {finding.remedy}"


def assert_reported(report: CheckReport, code: str, words: str, file: str = "", shot: str | None = None) -> None:
    """Checks for an error of this code with these words, in any position, for this file and shot."""
    found = [
        finding
        for finding in report.findings
        if finding.code == code and finding.shot == shot and file in str(finding.file)
    ]
    assert found, [(finding.code, finding.shot, finding.message) for finding in report.findings]
    assert any(all(word in text_of(finding) for word in words.split()) for finding in found), [*map(text_of, found)]


# --- right data ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("only", [FEWEST, WITH_NEUTRAL, None])
def test_a_right_head_has_no_findings(head: Path, only: tuple[str, ...] | None) -> None:
    report = check(head) if only is None else check(head, only)
    assert not [text_of(finding) for finding in report.findings if finding.code != "blendshape-storage"]


def mask() -> np.ndarray:
    """The front of an egg."""
    rest = egg(1500)
    return rest[rest[:, 2] > 0]


def half_mask() -> np.ndarray:
    """The lower front of an egg."""
    rest = egg(3000)
    return rest[(rest[:, 2] > 2) & (rest[:, 1] < 2)]


def bust() -> np.ndarray:
    """An egg with a neck and shoulders."""
    random = np.random.default_rng(0)
    height, turn = random.uniform(-1, 1, 1500), random.uniform(0, 2 * np.pi, 1500)
    ring = np.sqrt(1 - height**2)
    shoulders = np.stack([20 * ring * np.cos(turn), 10 * height - 24, 8 * ring * np.sin(turn) - 2], axis=1)
    neck = np.stack([5 * np.cos(turn), 4 * height - 12, 5 * np.sin(turn) - 2], axis=1)[:300]
    return np.concatenate([egg(), neck, shoulders]).astype(np.float32)


@pytest.mark.parametrize("shape", [egg, mask, half_mask, bust])
def test_faces_of_many_cuts_are_right(tmp_path: Path, shape: Callable[[], np.ndarray]) -> None:
    write_egg(tmp_path, shape())
    assert not [text_of(finding) for finding in check(tmp_path).findings]


def test_a_head_at_the_height_of_a_person_is_right(data: Path) -> None:
    raised = np.float32([0, 160, 0])
    for shot in SHOTS:
        change_shot(data, "skin", shot, lambda frames: frames + raised)
    assert not check(data, FEWEST).findings


# --- unit and axes of everything -------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", WHOLE_SCENES)
@pytest.mark.parametrize("only", [FEWEST, WITH_NEUTRAL, None])
def test_another_unit_or_other_axes_of_a_head(data: Path, by: Change, only: tuple[str, ...] | None) -> None:
    change_everything(data, by)
    report = check(data) if only is None else check(data, only)
    code, words = WHOLE_SCENES[by]
    first = report.errors[0]
    assert first.code == code, [(finding.code, finding.message) for finding in report.errors]
    assert all(word in text_of(first) for word in words.split()), text_of(first)
    # Nothing that follows from it is reported beside it, least of all with advice that would not help.
    assert {finding.code for finding in report.errors} == {code}


@pytest.mark.parametrize("by", WHOLE_SCENES)
@pytest.mark.parametrize("shape", [egg, mask, bust])
def test_another_unit_or_other_axes_without_a_neutral_pose(
    tmp_path: Path, by: Change, shape: Callable[[], np.ndarray]
) -> None:
    write_egg(tmp_path, shape())
    change_everything(tmp_path, by)
    report = check(tmp_path)
    code, words = WHOLE_SCENES[by]
    assert_reported(report, code, words)


def test_unit_and_axes_at_once(data: Path) -> None:
    change_everything(data, metres_z_up)
    report = check(data, FEWEST)
    assert [finding.code for finding in report.errors] == ["units", "axes"]


def test_swapped_lists_are_no_other_axes(data: Path) -> None:
    place = "geom/skin/lip_dist_vertex_list.json"
    pairs = json.loads((data / place).read_text())
    change_list(data, place, {"upper": pairs["lower"], "lower": pairs["upper"]})
    assert {(finding.code, finding.file.name) for finding in check(data).errors if finding.file} == {
        ("list-swapped", "lip_dist_vertex_list.json")
    }


# --- vertex order ----------------------------------------------------------------------------------------------------


def scrambled(share: float, start: float = 0.4) -> Change:
    """The same positions, a range of the vertices in another order."""

    def by(frames: np.ndarray) -> np.ndarray:
        verts = frames.shape[-2]
        order = np.arange(verts)
        region = order[int(start * verts) : int((start + share) * verts)]
        order[region] = np.random.default_rng(0).permutation(region)
        return frames[..., order, :]

    return by


def second_half_scrambled(frames: np.ndarray) -> np.ndarray:
    middle = len(frames) // 2
    return np.concatenate([frames[:middle], scrambled(0.05)(frames[middle:])])


def other_mesh(frames: np.ndarray) -> np.ndarray:
    """Points all over another head, as many."""
    verts = frames.shape[1]
    directions = np.random.default_rng(0).normal(size=(verts, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.repeat((directions * [11, 15, 10] + [0, -3, -2])[None], len(frames), axis=0)


ODD_SHOTS: dict[str, tuple[Change, str, str]] = {
    "reversed": (lambda frames: frames[:, ::-1], "vertex-order", "another vertex order"),
    "random": (scrambled(1, 0), "vertex-order", "another vertex order lies where belongs"),
    "by one": (lambda frames: np.roll(frames, 1, axis=1), "vertex-order", "another vertex order"),
    "a twentieth": (scrambled(0.05), "vertex-order", "another vertex order in a region"),
    "a hundredth": (scrambled(0.01), "vertex-order", "another vertex order in a region"),
    "half of the shot": (second_half_scrambled, "vertex-order", "in a region second half of the shot"),
    "another mesh": (other_mesh, "vertex-order", "another mesh"),
    "metres": (metres, "units", "in metres by 100:"),
    "millimetres": (millimetres, "units", "in millimetres by 0.1:"),
    "z up": (z_up, "axes", "other axes (x, z, -y)"),
    "mirrored": (mirrored, "axes", "mirrored (-x, y, z)"),
    "upside down": (upside_down, "axes", "mirrored (x, -y, z)"),
    "moved": (lambda frames: frames + np.float32([0, 5, 0]), "moved", "moved as a whole by (0.00, 5.00,"),
}


@pytest.mark.parametrize("name", ODD_SHOTS)
@pytest.mark.parametrize("only", [FEWEST, WITH_NEUTRAL])
def test_one_shot_of_another_order_unit_or_place(data: Path, name: str, only: tuple[str, ...]) -> None:
    by, code, words = ODD_SHOTS[name]
    change_shot(data, "skin", FIRST, by)  # without a neutral pose, the first shot is what others are compared with
    report = check(data, only)
    assert_reported(report, code, words, shot=FIRST)
    assert {(finding.code, finding.shot) for finding in report.errors} == {(code, FIRST)}


def test_a_scrambled_region_of_a_coarse_mesh(tmp_path: Path) -> None:
    write_egg(tmp_path)
    region = np.argsort(np.linalg.norm(egg() - [0, -5, 9], axis=1))[:60]
    order = np.arange(600)
    order[np.sort(region)] = np.random.default_rng(1).permutation(region)
    change_shot(tmp_path, "skin", SECOND, lambda frames: frames[:, order])
    assert_reported(check(tmp_path), "vertex-order", "in a region", shot=SECOND)


NEUTRALS: dict[str, tuple[Change, str, str]] = {
    "scrambled": (scrambled(0.05), "vertex-order", "in a region 3 of 3 shots agree"),
    "reversed": (lambda pose: pose[::-1], "vertex-order", "another vertex order"),
    "metres": (metres, "units", "in metres by 100:"),
    "z up": (z_up, "axes", "other axes (x, z, -y)"),
    "mirrored": (mirrored, "axes", "mirrored (-x, y, z)"),
    "moved": (lambda pose: pose + np.float32([0, 160, 0]), "moved", "moved as a whole by (0.00, 160.00,"),
}


@pytest.mark.parametrize("name", NEUTRALS)
def test_a_neutral_pose_that_no_shot_agrees_with(data: Path, name: str) -> None:
    by, code, words = NEUTRALS[name]
    change(data, "geom/skin/neutral_pose.npy", by)
    report = check(data, WITH_NEUTRAL)
    assert_reported(report, code, words, file="neutral_pose.npy")
    assert len(report.findings) == 1  # not once per shot, and not as motion of the head


def test_a_head_that_moves_is_no_other_order(data: Path) -> None:
    change_shot(data, "skin", FIRST, lambda frames: frames + np.linspace(0, 4, len(frames))[:, None, None])
    assert {(finding.code, finding.shot) for finding in check(data, WITH_NEUTRAL).errors} == {("head-motion", FIRST)}


# --- parts against the skin ------------------------------------------------------------------------------------------

JAW, JAW_REST = "xform/jaw_keypoints_cache_all.npz", "xform/jaw_keypoints_neutral.npy"
EYES, SKIN_SET = "xform/eye_rotations_all.npz", "bs_data/bs_skin.npz"
LIPS, LIDS = "geom/skin/lip_open_pose_delta.npy", "geom/skin/eye_close_pose_delta.npy"
TONGUE_REST, RIGID = "geom/tongue/neutral_pose.npy", "geom/tongue/rigid_vertex_list.json"
EXTRA = "geom/extra_parts.npz"


def jaw(by: Change, *, rest: bool = True, shot: str | None = None) -> Plant:
    def plant(root: Path) -> None:
        change_all(root, JAW, by, lambda name: shot in (None, name))
        if rest:
            change(root, JAW_REST, by)

    return plant


def jaw_order(root: Path) -> None:
    rest, order = np.load(root / JAW_REST), [1, 0, 2, 4, 3]
    change_all(root, JAW, lambda offsets: (rest + offsets)[:, order] - rest, lambda name: name == SECOND)


def tongue(by: Change, offsets: Change | None = None) -> Plant:
    """The tongue and its blend shapes, whose offsets are changed alike unless given."""

    def plant(root: Path) -> None:
        change(root, TONGUE_REST, by)
        change_all(root, "bs_data/bs_tongue.npz", by, lambda name: name == "neutral")
        change_all(root, "bs_data/bs_tongue.npz", offsets or by, is_offset)
        for shot in SHOTS:
            change_shot(root, "tongue", shot, by)

    return plant


def tongue_tip(root: Path) -> None:
    tip = np.argsort(np.load(root / TONGUE_REST)[:, 2])[-12:]
    change_list(root, RIGID, tip.tolist())
    for shot in SHOTS:  # a tip of a life of its own
        lively = np.random.default_rng(0).normal(0, 0.6, (len(tip), 3)).astype(np.float32)

        def by(frames: np.ndarray, lively: np.ndarray = lively) -> np.ndarray:
            frames[:, tip] += np.sin(np.arange(len(frames)))[:, None, None] * lively
            return frames

        change_shot(root, "tongue", shot, by)


def one(place: str, by: Change) -> Plant:
    return lambda root: change(root, place, by)


def many(place: str, by: Change, names: Callable[[str], bool] = lambda _: True) -> Plant:
    return lambda root: change_all(root, place, by, names)


def is_offset(name: str) -> bool:
    return name != "neutral"


def is_vertices(name: str) -> bool:
    return name.endswith("vertices")


def sides_exchanged(root: Path) -> None:
    with np.load(root / SKIN_SET) as archive:
        arrays = dict(archive)
    pairs = {
        name: name.replace("Left", "Right") if "Left" in name else name.replace("Right", "Left") for name in arrays
    }
    np.savez(root / SKIN_SET, **{pairs[name]: array for name, array in arrays.items()})


PARTS: dict[str, tuple[Plant, str, str, str, str | None]] = {
    # jaw
    "jaw in metres": (jaw(metres), "units", "jaw in metres by 100:", JAW, None),
    "jaw in millimetres": (jaw(millimetres), "units", "jaw in millimetres by 0.1:", JAW, None),
    "jaw in inches": (jaw(inches), "units", "jaw in inches by 2.54:", JAW, None),
    "jaw z up": (jaw(z_up), "axes", "jaw other axes (x, z, -y)", JAW, None),
    "jaw upside down": (jaw(upside_down), "axes", "jaw mirrored (x, -y, z)", JAW, None),
    "offsets in metres": (jaw(metres, rest=False), "units", "offsets metres by 100:", JAW, None),
    "offsets z up": (jaw(z_up, rest=False), "axes", "jaw moves along", JAW, None),
    "one shot in metres": (jaw(metres, rest=False, shot=SECOND), "units", "offsets metres", JAW, SECOND),
    "one shot in inches": (jaw(inches, rest=False, shot=SECOND), "units", "offsets inches", JAW, SECOND),
    "one shot z up": (jaw(z_up, rest=False, shot=SECOND), "axes", "jaw moves along", JAW, SECOND),
    "jaw still": (jaw(np.zeros_like, rest=False), "jaw-still", "stands still", JAW, None),
    "jaw still in a shot": (jaw(np.zeros_like, rest=False, shot=SECOND), "jaw-still", "stands still", JAW, SECOND),
    "jaw off but still": (jaw(np.ones_like, rest=False, shot=SECOND), "jaw-still", "stands still", JAW, SECOND),
    "jaw order": (jaw_order, "jaw-order", "another order than neutral pose point", JAW, SECOND),
    "jaw bends": (
        jaw(lambda offsets: offsets * np.linspace(0, 2, 5)[:, None], rest=False),
        "jaw-rigid",
        "not move as one rigid body",
        JAW,
        None,
    ),
    # tongue
    "tongue in metres": (tongue(metres), "units", "tongue in metres by 100:", TONGUE_REST, None),
    "tongue in inches": (tongue(inches), "units", "tongue in inches by 2.54:", TONGUE_REST, None),
    "tongue z up": (tongue(z_up), "axes", "tongue other axes (x, z, -y)", TONGUE_REST, None),
    "tongue reversed in a shot": (
        lambda root: change_shot(root, "tongue", SECOND, lambda frames: frames[:, ::-1]),
        "vertex-order",
        "another vertex order",
        "cache/tongue",
        SECOND,
    ),
    "tongue elsewhere": (
        tongue(lambda points: points + np.float32([0, 30, 0]), offsets=lambda offsets: offsets),
        "placement",
        "not where a face has it",
        TONGUE_REST,
        None,
    ),
    "rigid list of the tip": (tongue_tip, "tongue-rigid", "not move as one rigid body", RIGID, None),
    # eyes
    "eyes in radians": (many(EYES, np.radians), "eyes-radians", "radians degrees", EYES, None),
    "saccades in radians": (
        one("xform/eye_saccade_rotations.npy", np.radians),
        "eyes-radians",
        "radians",
        "eye_saccade_rotations.npy",
        None,
    ),
    "one eye mirrored": (
        many(EYES, lambda turns: turns * np.float32([[1, 1], [1, -1]])),
        "eyes-apart",
        "yaw opposite ways",
        EYES,
        None,
    ),
    # poses
    "lips in metres": (one(LIPS, metres), "units", "lips metres by 100:", LIPS, None),
    "lips z up": (one(LIPS, z_up), "axes", "lips along z", LIPS, None),
    "lips the wrong way": (one(LIPS, np.negative), "delta-sign", "wrong way minus", LIPS, None),
    "lips in another order": (one(LIPS, scrambled(1, 0)), "vertex-order", "vertex order", LIPS, None),
    "lids in metres": (one(LIDS, metres), "units", "lids metres by 100:", LIDS, None),
    "lids in millimetres": (one(LIDS, millimetres), "units", "lids millimetres by 0.1:", LIDS, None),
    "lids in inches": (one(LIDS, inches), "units", "lids inches by 2.54:", LIDS, None),
    "lids z up": (one(LIDS, z_up), "axes", "lids along z", LIDS, None),
    "lids the wrong way": (one(LIDS, np.negative), "delta-sign", "lids wrong way", LIDS, None),
    "inference pose reversed": (
        one("geom/skin/neutral_inference.npy", lambda pose: pose[::-1]),
        "vertex-order",
        "another vertex order",
        "neutral_inference.npy",
        None,
    ),
    # blend shapes
    "set in metres": (many(SKIN_SET, metres), "units", "its neutral metres by 100:", SKIN_SET, None),
    "set z up": (many(SKIN_SET, z_up), "axes", "its neutral other axes (x, z, -y)", SKIN_SET, None),
    "set mirrored": (many(SKIN_SET, mirrored), "axes", "its neutral mirrored (-x, y, z)", SKIN_SET, None),
    "set reversed": (many(SKIN_SET, lambda pose: pose[::-1]), "vertex-order", "its neutral", SKIN_SET, None),
    "offsets of the set in metres": (many(SKIN_SET, metres, is_offset), "units", "offsets metres", SKIN_SET, None),
    "offsets of the set z up": (many(SKIN_SET, z_up, is_offset), "axes", "'jawOpen' opens along -y", SKIN_SET, None),
    "offsets of the set rolled": (
        many(SKIN_SET, lambda pose: np.roll(pose, len(pose) // 3, axis=0), is_offset),
        "vertex-order",
        "offsets vertex order",
        SKIN_SET,
        None,
    ),
    "offsets of the set scrambled": (
        many(SKIN_SET, scrambled(1, 0), is_offset),
        "vertex-order",
        "neighbours vertex order",
        SKIN_SET,
        None,
    ),
    "left and right exchanged": (sides_exchanged, "axes", "one side left +x mirrored", SKIN_SET, None),
    "tongue's set reversed": (
        many("bs_data/bs_tongue.npz", lambda pose: pose[::-1]),
        "vertex-order",
        "its neutral",
        "bs_tongue.npz",
        None,
    ),
    # parts for drawing
    "drawn parts in metres": (many(EXTRA, metres, is_vertices), "units", "metres by 100:", EXTRA, None),
    "drawn parts z up": (many(EXTRA, z_up, is_vertices), "axes", "other axes (x, z, -y)", EXTRA, None),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_does_not_fit_the_face(data: Path, name: str) -> None:
    plant, code, words, file, shot = PARTS[name]
    plant(data)
    report = check(data)
    assert_reported(report, code, words, file=file, shot=shot)
    places = {finding.file for finding in report.errors}
    assert all(file in str(place) for place in places), [(finding.code, finding.message) for finding in report.errors]


def test_eyes_that_look_straight_ahead_are_right(data: Path) -> None:
    change_all(data, EYES, np.zeros_like)
    assert not check(data).errors


def test_a_shot_of_eyes_in_radians_is_a_warning(data: Path) -> None:
    change_all(data, EYES, np.radians, lambda name: name == SECOND)
    report = check(data)
    assert not report.errors
    assert_reported(report, "eyes-radians", "perhaps radians", shot=SECOND)


def test_the_jaw_of_another_moment_is_a_warning(data: Path) -> None:
    change_all(data, JAW, lambda offsets: np.roll(offsets, 19, axis=0), lambda name: name == SECOND)
    assert_reported(check(data), "jaw-motion", "not when the mouth does", file=JAW, shot=SECOND)


def test_noise_has_no_axes(tmp_path: Path) -> None:
    """Randomly moving points are not a face, so that no position of a mouth is reported."""
    write_egg(tmp_path)
    random = np.random.default_rng(0)
    rest = random.normal(0, 8, (300, 3))
    for shot, seconds in SHOTS.items():
        write_cache(tmp_path, "skin", shot, rest + random.normal(0, 2, (round(30 * seconds), 300, 3)))
    assert not [finding for finding in check(tmp_path).findings if finding.code in ("axes", "units", "vertex-order")]
