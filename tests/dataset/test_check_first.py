"""Everything that a later stage refuses in an actor's data is reported by the check first.

Each row names the stage and its message, adds the fault, and names the code of the check's finding. The same table is
in docs/inside.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
from raw_datasets import Open, add_blendshapes, change_json, change_npz

from audio2face.dataset.checks import check_actor, compare_actors
from audio2face.geometry import write_cache

ROOT = Path(__file__).parents[2]
RIGID = "geom/tongue/rigid_vertex_list.json"
SKIN = "geom/skin/neutral_pose.npy"


class Row(NamedTuple):
    """One refusal of a later stage."""

    stage: str
    refusal: str  # words of its message
    code: str  # of the check's finding
    plant: Callable[[Path], object]
    parameters: Mapping[str, str] = MappingProxyType({})


def save(place: str, values: object) -> Callable[[Path], object]:
    """Saves an array in the dataset."""

    def write(root: Path) -> None:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / place, np.asarray(values))

    return write


def text(place: str, content: str | bytes) -> Callable[[Path], object]:
    """Writes a file in the dataset."""

    def write(root: Path) -> None:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def settings(**changes: object) -> Callable[[Path], object]:
    """Changes settings of the blend shapes' solver."""
    return lambda root: change_json(
        root / "bs_data/bs_skin_config.json", lambda values: values["blendshape_params"].update(changes)
    )


def poses(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], object]:
    """Changes the arrays of the blend shapes."""
    return lambda root: change_npz(root / "bs_data/bs_skin.npz", change)


def twins(root: Path) -> None:
    """Two poses that move alike, and no preference between them."""
    poses(lambda arrays: arrays.update(mouthFunnel=arrays["jawOpen"]))(root)
    settings(strengthL2regularization=0.0)(root)


def short(root: Path) -> None:
    """All shots of five frames."""
    for folder in (root / "cache/skin").iterdir():
        for file in folder.iterdir():
            file.unlink()
        np.save(folder / f"{folder.name}.npy", np.zeros((5, 200, 3), np.float32) + np.load(root / SKIN))


def another_mesh(root: Path) -> None:
    folder = root / "cache/skin/s2_joy"
    for file in folder.iterdir():
        file.unlink()
    write_cache(folder / "s2_joy.npy", np.zeros((95, 150, 3), np.float32), fps=30)


def in_line(root: Path) -> None:
    """A tongue with its root on one line."""
    neutral = np.load(root / "geom/tongue/neutral_pose.npy")
    neutral[:6] = np.arange(6)[:, None] * np.float32([1, 2, 0.5])
    np.save(root / "geom/tongue/neutral_pose.npy", neutral)
    text(RIGID, json.dumps(list(range(6))))(root)


def part(**arrays: object) -> Callable[[Path], object]:
    """A part to draw."""
    usual = {"eye_vertices": np.eye(3), "eye_faces": [[0, 1, 2]], "eye_colours": np.zeros((3, 3), np.uint8)}
    return lambda root: np.savez(root / "parts.npz", **{**usual, **arrays})  # type: ignore[arg-type]


def odd_rate(root: Path) -> None:
    samples, _ = soundfile.read(root / "audio/s1_neutral.wav")
    soundfile.write(root / "audio/s1_neutral.wav", samples, 50_021)


PARTS = {"EXTRA_PARTS_FPATH": "parts.npz"}
PHONES = {"PHONEME_TIMES_ROOT": "phonemes"}
HEADER = "start\tend\tphone\n"
FACES = {"SKIN_FACES_FPATH": "geom/skin/faces.npy"}

ROWS = (
    Row("preprocessing", "has … vertices, … has …", "vertex-count", another_mesh),
    Row("preprocessing", "a neutral tongue of shape …", "pose-shape", save("geom/tongue/neutral_pose.npy", np.eye(3))),
    Row("preprocessing", "rigid tongue vertex … for a mesh of …", "list-range", text(RIGID, "[1, 2, 3, 999]")),
    Row("preprocessing", "rigid tongue vertices that lie on one line", "list-collinear", in_line),
    Row(
        "preprocessing",
        "holds NaN or Infinity, which JSON does not have",
        "blendshape-config",
        text("bs_data/bs_skin_config.json", '{"blendshape_params": {"numPoses": NaN}}'),
    ),
    Row(
        "preprocessing",
        "pose … is NaN or infinite in places",
        "not-finite",
        poses(lambda arrays: arrays["jawOpen"].__setitem__((3, 1), np.nan)),
    ),
    Row("preprocessing", "has no array named …", "blendshape-missing", poses(lambda arrays: arrays.pop("jawOpen"))),
    Row(
        "preprocessing",
        "frontalMask names vertices … of a mesh of …",
        "blendshape-mask",
        poses(lambda arrays: arrays.update(frontalMask=np.array([999], np.int32))),
    ),
    Row(
        "preprocessing",
        "frontalMask is …, expected vertex numbers",
        "blendshape-mask",
        poses(lambda arrays: arrays.update(frontalMask=np.zeros(4))),
    ),
    Row("preprocessing", "has the shape …, expected …", "file-unreadable", save(SKIN, np.zeros((200, 2)))),
    Row("preprocessing", "holds Python objects instead of numbers", "file-unreadable", save(SKIN, [{}, {}])),
    Row(
        "preprocessing",
        "should hold an object with the keys",
        "file-unreadable",
        text("geom/skin/lip_dist_vertex_list.json", "[]"),
    ),
    Row(
        "preprocessing",
        "expected integers [faces, 3 or 4]",
        "file-unreadable",
        save(FACES["SKIN_FACES_FPATH"], [1.0]),
        FACES,
    ),
    Row(
        "training",
        "ends at …, after a start at …",
        "phonemes-unreadable",
        text("phonemes/s2_joy.txt", HEADER + "2\t1\tAA\n"),
        PHONES,
    ),
    Row(
        "training",
        "is no phone of …",
        "phonemes-unknown",
        text("phonemes/s2_joy.txt", HEADER + "0\t1\tAA\n" * 9 + "1\t2\tQQ\n"),
        PHONES,
    ),
    Row(
        "training",
        "cannot be read as UTF-8 text: …",
        "transcript-unreadable",
        text("audio/s1_neutral.txt", b"\xff\xfe\x00"),
    ),
    Row("training", "the ratio … needs too long a filter", "sample-rate", odd_rate),
    Row("training", "no clip is left for training", "shots-short", short),
    Row(
        "training",
        "holds a value that is not finite for …",
        "not-finite",
        lambda root: change_npz(
            root / "xform/jaw_keypoints_cache_all.npz", lambda arrays: arrays["s2_joy"].__setitem__((5, 0, 0), np.nan)
        ),
    ),
    Row(
        "training",
        "expected a finite number, with full scale 1",
        "audio-unreadable",
        lambda root: soundfile.write(root / "audio/s2_joy.wav", np.full(50_000, np.nan), 16_000, "FLOAT"),
    ),
    Row(
        "deployment",
        "has no height (y): the SDK divides by it",
        "pose-flat",
        save(SKIN, np.random.default_rng(0).normal(size=(200, 3)) * [9, 0, 9]),
    ),
    Row(
        "deployment",
        "up to … numbers from 0 to 1",
        "blink-range",
        save("xform/eye_blink_keys.npy", np.linspace(0, 100, 12)),
    ),
    Row(
        "deployment",
        "poseNames are …, expected neutral, then other poses, each once",
        "blendshape-names",
        poses(lambda arrays: arrays.update(poseNames=np.array(["neutral", "jawOpen", "jawOpen"], "S"))),
    ),
    Row("deployment", "holds … poses without the neutral, … says …", "blendshape-config", settings(numPoses=3)),
    Row("deployment", "bsSolveSymmetryPoses", "blendshape-config", settings(bsSolveSymmetryPoses=[[0], 0])),
    Row("deployment", "lists … polygons / corner … is vertex …", "faces-range", part(eye_faces=[[0, 1, 3]]), PARTS),
    Row(
        "deployment",
        "does not hold what it should: colours from 0 to 255",
        "part-colours",
        part(eye_colours=np.full((3, 3), 300)),
        PARTS,
    ),
    Row("deployment", "array … has the shape …", "part-shape", part(eye_vertices=np.zeros((3, 2))), PARTS),
    Row("inference", "no pose is active", "blendshape-config", settings(bsSolveActivePoses=[0, 0])),
    Row(
        "inference", "has the number … times, expected twice", "blendshape-config", settings(bsSolveCancelPoses=[0, -1])
    ),
    Row("inference", "are not determined by a face", "blendshape-solvable", twins),
    Row("inference", "expected a number of 0 or above", "blendshape-config", settings(strengthSymmetry=-1)),
)


@pytest.mark.parametrize("row", ROWS, ids=[f"{number} {row.code}" for number, row in enumerate(ROWS)])
def test_the_check_refuses_first(dataset: Path, open_actor: Open, row: Row) -> None:
    add_blendshapes(dataset)
    before = {finding.code for finding in check_actor(open_actor(dataset)).errors}
    row.plant(dataset)
    actor = open_actor(dataset, **{name: {"ann": str(dataset / place)} for name, place in row.parameters.items()})
    assert row.code in {finding.code for finding in check_actor(actor).errors} - before


def test_the_table_of_the_documentation_is_this_one() -> None:
    page = (ROOT / "docs/inside.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| (.+?) \| `([\w-]+)` \|$", page, re.MULTILINE)
    assert {(stage, code) for stage, _, code in rows} >= {(row.stage, row.code) for row in ROWS}


def test_points_of_a_jaw_that_differ_between_shots(dataset: Path, open_actor: Open) -> None:
    change_npz(
        dataset / "xform/jaw_keypoints_cache_all.npz", lambda arrays: arrays.update(s2_joy=arrays["s2_joy"][:, :3])
    )
    report = check_actor(open_actor(dataset, JAW_KEYPOINTS_NEUTRAL_FPATH={}))
    assert ("jaw-points", "s2_joy") in {(finding.code, finding.shot) for finding in report.errors}


def test_other_voices_are_held_to_the_same_rates(dataset: Path, open_actor: Open) -> None:
    voice = dataset / "audio/aug/v1/s2_joy.wav"
    samples, rate = soundfile.read(voice)
    soundfile.write(voice, samples[::4], rate // 4)
    report = check_actor(open_actor(dataset))
    assert "sample-rate" in {finding.code for finding in report.errors}


def test_actors_of_different_meshes(dataset: Path, open_actor: Open, tmp_path: Path) -> None:
    one = check_actor(open_actor(dataset))
    another_mesh(dataset)
    for shot in ("s1_neutral", "s3_anger", "s4_neutral"):
        for file in (dataset / "cache/skin" / shot).iterdir():
            file.unlink()
    other = check_actor(open_actor(dataset))
    same, differs = compare_actors([one, one]), compare_actors([one, other])
    assert "actors-differ" not in {finding.code for report in same for finding in report.findings}
    assert [finding.code for finding in differs[1].warnings][-1] == "actors-differ"
