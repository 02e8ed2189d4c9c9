"""Fifteen faults at once: the check names each with its file, shot, frame, vertex and severity, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from raw_datasets import FPS, Open, add_blendshapes, add_shot, change_json, change_npz, change_sound

from audio2face.dataset.checks import check_actor
from audio2face.geometry import open_cache, write_cache

COPIES = {
    "t01_neutral": ".xml",
    "t02_neutral": ".npy",
    "t03_neutral": ".pc2",
    "t04_neutral": ".npy",
    "t05_neutral": ".mdd",
    "t06_neutral": ".npy",
    "t07_neutral": ".xml",
    "t08_neutral": ".npy",
    "t09_surprise": ".npy",
    "t10_neutral": ".npy",
}


@pytest.fixture
def large(dataset: Path) -> Path:
    """The reference dataset with a shot for every fault."""
    for name, extension in COPIES.items():
        add_shot(dataset, "s1_neutral", name, extension)
    add_blendshapes(dataset)
    return dataset


def plant(root: Path) -> set[tuple[str, str | None, str, int | None, int | None]]:
    """Plants all faults; what must be reported: code, shot, file, frame, vertex."""
    skin, audio, geom, xform = (root / name for name in ("cache/skin", "audio", "geom/skin", "xform"))

    cut = skin / "t01_neutral" / "t01_neutral.mc"
    cut.write_bytes(cut.read_bytes()[:-1000])

    frames = np.load(skin / "t02_neutral" / "t02_neutral.npy")
    frames[37, 5, 1] = np.nan
    frames[40, 7, 2] = np.inf
    np.save(skin / "t02_neutral" / "t02_neutral.npy", frames)

    (audio / "t03_neutral.wav").unlink()
    change_sound(audio / "t04_neutral.wav", lambda samples: samples[: int(0.8 * len(samples))])
    change_sound(audio / "t05_neutral.wav", np.zeros_like)

    other_mesh = skin / "t06_neutral" / "t06_neutral.npy"
    np.save(other_mesh, np.load(other_mesh)[:, :150])

    slow = skin / "t07_neutral" / "t07_neutral.xml"
    write_cache(slow, open_cache(slow)[:], fps=24)
    change_sound(audio / "t07_neutral.wav", lambda samples: np.resize(samples, int(1.25 * len(samples))))

    change_json(geom / "lip_dist_vertex_list.json", lambda it: it["upper"].__setitem__(2, 999))
    change_json(geom / "eye_dist_vertex_list.json", lambda it: it.update(upper=it["lower"], lower=it["upper"]))

    line = np.arange(5, dtype=np.float32)[:, None] * np.float32([1, 2, 3])
    np.save(xform / "jaw_keypoints_neutral.npy", line + 160)
    change_npz(xform / "jaw_keypoints_cache_all.npz", lambda arrays: arrays.pop("t08_neutral"))

    drifting = skin / "t10_neutral" / "t10_neutral.npy"
    frames = np.load(drifting)
    np.save(drifting, frames + np.linspace(0, 8, len(frames), dtype=np.float32)[:, None, None])

    change_json(root / "bs_data" / "bs_skin_config.json", lambda it: it["blendshape_params"].update(numPoses=3))
    np.save(geom / "lip_open_pose_delta.npy", np.zeros((150, 3), np.float32))

    swapped = json.loads((geom / "eye_dist_vertex_list.json").read_text())["upper"][0]
    return {
        ("cache-unreadable", "t01_neutral", "t01_neutral.mc", None, None),
        ("not-finite", "t02_neutral", "t02_neutral.npy", 37, 5),
        ("audio-missing", "t03_neutral", "t03_neutral.wav", None, None),
        ("audio-short", "t04_neutral", "t04_neutral.wav", None, None),
        ("audio-silent", "t05_neutral", "t05_neutral.wav", None, None),
        ("vertex-count", "t06_neutral", "t06_neutral.npy", None, None),
        ("frame-rate", "t07_neutral", "t07_neutral.xml", None, None),
        ("list-range", None, "lip_dist_vertex_list.json", None, 999),
        ("list-swapped", None, "eye_dist_vertex_list.json", None, swapped),
        ("jaw-collinear", None, "jaw_keypoints_neutral.npy", None, None),
        ("jaw-missing", "t08_neutral", "jaw_keypoints_cache_all.npz", None, None),
        ("emotion-unknown", "t09_surprise", "t09_surprise", None, None),
        ("head-motion", "t10_neutral", "t10_neutral.npy", 119, None),
        ("blendshape-config", None, "bs_skin_config.json", None, None),
        ("pose-shape", None, "lip_open_pose_delta.npy", None, None),
    }


def test_fifteen_faults_at_once(large: Path, open_actor: Open) -> None:
    before = check_actor(open_actor(large))
    assert {finding.code for finding in before.errors} == {"emotion-unknown"}  # t09 is at fault from the start

    expected = plant(large)
    report = check_actor(open_actor(large))
    found = {
        (finding.code, finding.shot, finding.file.name if finding.file else "", finding.frame, finding.vertex)
        for finding in report.errors
    }
    config_errors = [finding.message for finding in report.errors if finding.code == "blendshape-config"]
    assert found == expected
    assert config_errors == ["numPoses is 3, the data hold 2 poses without the neutral"]  # its lists do fit the data
    assert all(finding.remedy for finding in report.findings)
    assert report.summary.num_shots == 14
    assert report.summary.fps == FPS


def test_the_reference_dataset_has_no_error(dataset: Path, open_actor: Open) -> None:
    report = check_actor(open_actor(dataset))
    assert not report.errors
    # Its geometry is random numbers, so some pairs of vertices do lie upside down; its other voice lasts one second.
    assert {finding.code for finding in report.warnings} == {"list-mixed", "voice-length"}
    assert (report.summary.num_shots, report.summary.num_frames) == (4, 466)
    assert (report.summary.num_verts_skin, report.summary.num_verts_tongue) == (200, 60)
    assert report.summary.minutes_per_emotion == pytest.approx(
        {"anger": 141 / 1800, "joy": 95 / 1800, "neutral": 230 / 1800}
    )
    assert report.summary.shots_per_samplerate == {16_000: 3, 44_100: 1}
