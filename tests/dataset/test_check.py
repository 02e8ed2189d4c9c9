"""The dataset check beyond the fifteen faults: rates, head motion, repairs, emotions, its output and its command."""

from __future__ import annotations

import importlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from raw_datasets import (
    Open,
    add_blendshapes,
    change_json,
    change_npz,
    change_sound,
    write_config,
)
from rich.console import Console

from audio2face.config import load
from audio2face.dataset.checks import CheckReport, check_actor
from audio2face.dataset.checks.motion import rigid_motion
from audio2face.dataset.checks.report import show
from audio2face.dataset.checks.sweep import Openings
from audio2face.dataset.vertex_lists import VertexPairs
from audio2face.errors import UserError
from audio2face.geometry import write_cache

ROOT = Path(__file__).parents[2]


def codes(report: CheckReport) -> set[str]:
    return {finding.code for finding in report.errors}


def head(num_points: int = 150) -> np.ndarray:
    """A still head: points on an ellipsoid of 18 x 24 x 20 cm, the lower front being its jaw."""
    directions = np.random.default_rng(1).normal(size=(num_points, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return (directions * [9, 12, 10]).astype(np.float32)


def test_jaw_motion_is_no_head_motion() -> None:
    still = head()
    jaw = (still[:, 1] < -2) & (still[:, 2] > 0)
    opening = np.linspace(0, 1, 40)[:, None, None] * np.float32([0, -3, -0.5]) * jaw[:, None]
    assert rigid_motion(still + opening.astype(np.float32), still).size.max() < 0.05


def test_head_motion_is_measured_beside_a_moving_jaw() -> None:
    still = head()
    jaw = (still[:, 1] < -2) & (still[:, 2] > 0)
    angle = np.radians(10)
    turn = np.float32([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    posed = (still + jaw[:, None] * np.float32([0, -3, 0])) @ turn.T + np.float32([0, 0, 1])
    motion = rigid_motion(posed[None].astype(np.float32), still)
    expected = np.sqrt((((still @ turn.T + np.float32([0, 0, 1])) - still) ** 2).sum(axis=1).mean())
    assert motion.angle[0] == pytest.approx(10, abs=0.2)
    assert motion.size[0] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("swapped", [False, True])
def test_lips_that_are_shut_at_rest_are_judged_by_how_they_open(swapped: bool) -> None:
    shut = np.float32([[0, 0.01, 0], [0, 0.0, 0]])
    pairs = VertexPairs(np.array([1 if swapped else 0]), np.array([0 if swapped else 1]))
    openings = Openings.start(pairs, shut)
    talking = np.repeat(shut[None], 3, axis=0)
    talking[1, 1, 1] -= 1.5
    talking[2, 1, 1] += 0.05  # lips pressed together cross a little
    openings.feed(talking)
    assert (openings.heights()[0] < 0) == swapped


def test_one_other_frame_rate_is_named_once(dataset: Path, open_actor: Open) -> None:
    report = check_actor(open_actor(dataset, CACHE_FPS={"ann": 25.0}))
    (finding,) = [finding for finding in report.errors if finding.shot is None]
    assert finding.code == "frame-rate"
    assert "at 30 frames per second" in finding.message
    assert 'CACHE_FPS["ann"] = 30.0' in finding.remedy


def test_a_cache_that_tells_another_rate_is_a_warning_where_the_sound_fits(dataset: Path, open_actor: Open) -> None:
    path = dataset / "cache" / "skin" / "s3_anger" / "s3_anger.npy"
    write_cache(path.with_suffix(".xml"), np.load(path), fps=24)
    path.unlink()
    report = check_actor(open_actor(dataset))
    assert not report.errors
    assert ("frame-rate", "s3_anger") in {(finding.code, finding.shot) for finding in report.warnings}


def test_frame_counts_and_values_of_jaw_and_eyes(dataset: Path, open_actor: Open) -> None:
    def spoil(arrays: dict[str, np.ndarray]) -> None:
        arrays["s1_neutral"] = arrays["s1_neutral"][:-1]
        arrays["s2_joy"] = arrays["s2_joy"][:-20]
        arrays["s3_anger"][3, 1, 0] = np.nan

    change_npz(dataset / "xform" / "jaw_keypoints_cache_all.npz", spoil)
    change_npz(dataset / "xform" / "eye_rotations_all.npz", lambda arrays: arrays.update(s1_neutral=np.zeros(3)))
    report = check_actor(open_actor(dataset))
    found = {(finding.code, finding.shot, finding.frame) for finding in report.errors}
    assert found == {
        ("frame-count", "s2_joy", None),
        ("not-finite", "s3_anger", 3),
        ("file-unreadable", "s1_neutral", None),
    }
    assert ("frame-count", "s1_neutral") in {(finding.code, finding.shot) for finding in report.warnings}


def test_offsets_that_are_poses_or_move_the_wrong_place(dataset: Path, open_actor: Open) -> None:
    geom = dataset / "geom" / "skin"
    shutil.copy(geom / "neutral_pose.npy", geom / "lip_open_pose_delta.npy")
    lips = json.loads((geom / "lip_dist_vertex_list.json").read_text())
    delta = np.zeros((200, 3), np.float32)
    delta[lips["upper"] + lips["lower"]] = 1
    np.save(geom / "eye_close_pose_delta.npy", delta)
    assert codes(check_actor(open_actor(dataset))) == {"delta-absolute", "delta-region"}


def test_what_packaging_repairs_is_a_warning(dataset: Path, open_actor: Open) -> None:
    add_blendshapes(dataset)
    path = dataset / "bs_data" / "bs_skin.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["poseNames"] = np.array(["jawOpen", "mouthFunnel"])
    arrays["jawOpen"] = np.asfortranarray(arrays["jawOpen"].astype(np.float64))
    arrays["frontalMask"] = arrays["frontalMask"].astype(np.int64)
    np.savez_compressed(path, **arrays)
    report = check_actor(open_actor(dataset))
    assert not report.errors
    assert {"blendshape-storage", "blendshape-neutral"} <= {finding.code for finding in report.warnings}


def test_blendshapes_that_break_the_contract_are_errors(dataset: Path, open_actor: Open) -> None:
    add_blendshapes(dataset)

    def spoil(arrays: dict[str, np.ndarray]) -> None:
        arrays["frontalMask"][0] = 200
        arrays["jawOpen"] = arrays["jawOpen"][:-1]
        arrays["mouthFunnel"] = arrays["mouthFunnel"] + arrays["neutral"]

    def spoil_config(config: dict) -> None:
        config["blendshape_params"] |= {
            "bsSolveSymmetryPoses": [0, -1],
            "bsSolveActivePoses": [0, 0],
            "bsWeightOffsets": [0.0],
            "strengthL1regularization": -1,
            "templateBBSize": float("nan"),
        }

    change_npz(dataset / "bs_data" / "bs_skin.npz", spoil)
    change_json(dataset / "bs_data" / "bs_skin_config.json", spoil_config)
    report = check_actor(open_actor(dataset))
    assert codes(report) == {"blendshape-mask", "blendshape-shape", "blendshape-absolute", "blendshape-config"}
    assert sum(finding.code == "blendshape-config" for finding in report.errors) == 5


def test_sound_levels_rates_and_lengths(dataset: Path, open_actor: Open) -> None:
    audio = dataset / "audio"
    change_sound(audio / "s1_neutral.wav", lambda samples: np.clip(samples * 50, -1, 1))
    samples, rate = soundfile.read(audio / "s4_neutral.wav")
    soundfile.write(audio / "s4_neutral.wav", samples[::4], rate // 4)
    soundfile.write(audio / "s2_joy.wav", np.random.default_rng(0).normal(0, 0.1, 11_025 * 5), 11_025)
    (audio / "s3_anger.wav").write_bytes(b"RIFF")
    shutil.copy(audio / "s1_neutral.wav", audio / "s7.wav")
    report = check_actor(open_actor(dataset))
    assert {(finding.code, finding.shot) for finding in report.errors} == {
        ("sample-rate", "s4_neutral"),
        ("audio-unreadable", "s3_anger"),
    }
    assert {
        ("audio-clipped", "s1_neutral"),
        ("sample-rate", "s2_joy"),
        ("audio-long", "s2_joy"),
        ("audio-unused", None),
    } <= {(finding.code, finding.shot) for finding in report.warnings}


def test_emotions_that_match_nothing(dataset: Path, open_actor: Open) -> None:
    names = ["neutral", "joy", "grief"]
    actor = open_actor(dataset, SHOT_EMOTION_NAMES=names, SHOT_EMOTION_MAP=[("ann", "s9", "joy")])
    report = check_actor(actor)
    assert {(finding.code, finding.shot) for finding in report.errors} == {
        ("emotion-shot", "s9"),
        ("emotion-unknown", "s3_anger"),
    }
    (unused,) = [finding for finding in report.warnings if finding.code == "emotion-unused"]
    assert "'grief'" in unused.message


def test_head_motion_is_found_without_a_neutral(dataset: Path, open_actor: Open) -> None:
    for folder in ("geom", "xform", "cache/tongue"):
        shutil.rmtree(dataset / folder)
    for name, drift in (("s1_neutral", 0.2), ("s4_neutral", 6)):
        folder = dataset / "cache" / "skin" / name
        frames = head() + np.linspace(0, drift, 110, dtype=np.float32)[:, None, None]
        shutil.rmtree(folder)
        write_cache(folder / f"{name}.pc2", frames, fps=30)
    for name in ("s2_joy", "s3_anger"):
        shutil.rmtree(dataset / "cache" / "skin" / name)
    report = check_actor(open_actor(dataset))
    assert [(it.code, it.shot, it.frame) for it in report.errors] == [("head-motion", "s4_neutral", 109)]


def test_an_empty_dataset_is_reported_and_not_a_crash(tmp_path: Path, open_actor: Open) -> None:
    (tmp_path / "d" / "audio").mkdir(parents=True)
    (tmp_path / "d" / "cache" / "skin").mkdir(parents=True)
    actor = open_actor(tmp_path / "d")
    assert codes(check_actor(actor)) == {"shots-missing"}
    shutil.rmtree(tmp_path / "d")
    assert codes(check_actor(actor)) == {"shots-missing", "audio-missing"}


def test_names_from_the_disk_cannot_write_to_the_terminal(dataset: Path, open_actor: Open) -> None:
    evil = dataset / "cache" / "skin" / "s5\x1b[2J\nneutral"
    evil.mkdir()
    (evil / f"{evil.name}.npy").write_bytes(b"")
    report = check_actor(open_actor(dataset))
    assert codes(report) == {"shot-name"}
    shown = io.StringIO()
    show([report], Console(file=shown, width=200))
    assert "\x1b" not in shown.getvalue()
    assert "s5" in shown.getvalue()


def test_the_command(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    run = importlib.import_module("audio2face.cli.stages").check
    write_config(tmp_path / "configs" / "test", dataset)
    bundle = tmp_path / "bundle.json"

    def check(*arguments: str) -> int:
        load("test", stage="check", actors=["ann", "ann"], configs_folder=tmp_path / "configs").save(bundle)
        return int(run(["test", "--config-file", str(bundle), *arguments]))

    assert check("--json", "-") == 0
    assert not bundle.exists()  # what the launcher wrote for the stage does not stay behind
    out, err = capsys.readouterr()
    (actor,) = json.loads(out)["actors"]
    assert (actor["actor"], actor["errors"], actor["summary"]["num_frames"]) == ("ann", 0, 466)
    assert "what the dataset holds" in err

    (dataset / "audio" / "s2_joy.wav").unlink()
    assert check("--json", str(tmp_path / "report.json")) == 1
    assert "audio-missing" in capsys.readouterr().out
    findings = json.loads((tmp_path / "report.json").read_text())["actors"][0]["findings"]
    assert (findings[0]["code"], findings[0]["severity"], findings[0]["shot"]) == ("audio-missing", "error", "s2_joy")

    with pytest.raises(UserError, match="--head-motion-limit"):
        check("--head-motion-limit", "-1")


def test_faces_to_draw_that_are_no_vertex_numbers(dataset: Path, open_actor: Open) -> None:
    parts = dataset / "geom" / "extra_parts.npz"
    triangle = np.eye(3, dtype=np.float32)
    np.savez(
        parts,
        eye_vertices=triangle,
        eye_faces=np.full((1, 3), np.nan),
        teeth_vertices=triangle,
        teeth_faces=[[0, 1, 3]],
    )
    report = check_actor(open_actor(dataset, EXTRA_PARTS_FPATH={"ann": str(parts)}))
    assert sorted(finding.code for finding in report.errors) == ["faces-range", "faces-range", "not-finite"]


@pytest.mark.filterwarnings("error")
def test_numbers_near_the_limits_are_reported_and_nothing_else(dataset: Path, open_actor: Open) -> None:
    for pose in ("neutral_pose.npy", "lip_open_pose_delta.npy"):
        path = dataset / "geom" / "skin" / pose
        values = np.load(path)
        values[3] = 3e38
        np.save(path, values)
    assert check_actor(open_actor(dataset)).errors


@pytest.mark.slow
def test_two_gigabytes_take_little_memory() -> None:
    command = [sys.executable, "-m", "benchmarks.check_dataset", "--synthetic", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["errors"] == 0
    assert result["anonymous_mb"] < 300
