"""The stage as a whole: against the reference, reused, stopped and resumed, on little data, on wrong data."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from reference_actor import ACTOR, Configure

from audio2face.cli import stages
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.geometry import find_cache, open_cache, write_cache
from audio2face.io import atomic
from audio2face.preproc import poses
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.inputs import ActorInputs
from audio2face.preproc.run import one_at_a_time, preprocess
from audio2face.runs import RunFolder, run_lock


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def expected(reference_data: Path) -> Path:
    return reference_data / "preproc" / "expected"


def test_every_artifact_agrees_with_the_reference(configure: Configure, expected: Path) -> None:
    run = preprocess(configure(quick=False, KEEP_INTERMEDIATES=True), ACTOR).run.path
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


def _artifacts(run: Path) -> dict[str, bytes]:
    files = [path for folder in ("pca", "deploy") for path in (run / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def test_a_run_folder_holds_what_is_specified_and_nothing_else(configure: Configure) -> None:
    run = preprocess(configure(), ACTOR).run
    assert run.is_done
    assert run.name.endswith("_small")
    skin, tongue = "pca/skin/intermediate", "pca/tongue/intermediate"
    assert sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()) == sorted(
        [
            "log.log",
            "status.json",
            *(f"configs/{name}" for name in ("VERSION.md", "info.txt", "actor_info.json", "artifacts.json")),
            *("configs/data_set.json", "configs/configuration.json"),
            *(f"configs/config_{kind}_{how}.json" for kind in ("dataset", "preproc") for how in ("modifier", "full")),
            "configs/state.json",
            "pca/skin/skin_pca_shapes.npz",
            "pca/skin/skin_pca_coeffs_all.npz",
            *(f"{skin}/skin_pruned_poses_{name}.json" for name in ("sim", "pca_final")),
            f"{skin}/skin_pca_shapes_inter.npz",
            "pca/tongue/tongue_pca_shapes.npz",
            "pca/tongue/tongue_pca_coeffs_all.npz",
            f"{tongue}/tongue_pca_shapes_inter.npz",
            *(f"deploy/{name}" for name in ("network_data.npz", "data_info.json", "shots.json", "clips_template.py")),
            "deploy/mean_geometry.npy",
            "deploy/display_ann.npz",
            *(f"report/{name}" for name in ("check.json", "report.json", "report.md", "variance.png")),
        ]
    )
    report = _json(run.path / "report/report.json")
    error = report["skin"]["reconstruction_error_mm"]
    assert 0 < error["mean_mm"] < error["p99_mm"] < error["worst_mm"]
    assert error["lips_closed"]["frames"] > 0
    assert report["skin"]["poses_per_shot"]["s2_joy"] == {"frames": 95, "kept": 57, "selected": 3}
    assert report["skin"]["variance_explained"][-1] > 0.9995
    assert report["minutes_per_emotion"]["joy"] == pytest.approx(95 / 30 / 60, abs=1e-3)


def test_a_second_run_reuses_the_first_until_something_changes(
    configure: Configure, reference_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(reference_data / "preproc" / "dataset", tmp_path / "dataset")
    first = preprocess(configure(minimal=True, root=root), ACTOR)
    second = preprocess(configure(minimal=True, root=root, RUN_INFO="another note"), ACTOR)
    assert (first.reused, second.reused) == (False, True)
    assert second.run == first.run
    assert "unchanged" in capsys.readouterr().out
    os.utime(root / "cache/skin/s1_neutral/s1_neutral.mc")
    third = preprocess(configure(minimal=True, root=root, SKIN_PRUNE_SIM_DIST=60.0), ACTOR)
    assert not third.reused
    (third.run.path / "deploy" / "shots.json").unlink()
    assert not preprocess(configure(minimal=True, root=root, SKIN_PRUNE_SIM_DIST=60.0), ACTOR).reused


def test_whatever_is_read_has_a_part_in_the_fingerprint(
    configure: Configure, reference_data: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(reference_data / "preproc" / "dataset", tmp_path / "dataset")

    def fingerprint(**changes: object) -> str:
        configuration = configure(root=root, **changes)
        dataset = ActorDataset.open(ACTOR, configuration.dataset)
        return ActorInputs.open(dataset, configuration.preproc, {}).fingerprint()

    seen = {fingerprint()}
    for place in ("cache/skin/s1_neutral/s1_neutral.mc", "cache/tongue/s2_joy/s2_joy.xml", "xform/eye_blink_keys.npy"):
        os.utime(root / place)
        seen.add(fingerprint())
    (root / "audio/aug/v1/s1_neutral.wav").touch()
    seen |= {fingerprint(), fingerprint(SKIN_PRUNE_SIM_DIST=9.0), fingerprint(SHOT_EMOTION_NAMES=["joy"])}
    assert len(seen) == 7
    os.utime(root / "audio/s1_neutral.wav")
    assert fingerprint(RUN_INFO="a note", NUM_WORKERS=1) in seen


class Interrupted:
    """Lets so many files be written, then stops the process as Ctrl-C would, with a file half written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, files_before: int) -> None:
        self.left = files_before
        write = atomic.atomic_write

        @contextmanager
        def limited(path: Path) -> Iterator[IO[bytes]]:
            with write(path) as handle:
                if path.name != "status.json":
                    self.left -= 1
                if self.left == 0:
                    handle.write(b"half")
                    raise KeyboardInterrupt
                yield handle

        monkeypatch.setattr(atomic, "atomic_write", limited)
        monkeypatch.setattr(poses, "atomic_write", limited)


def test_stopped_anywhere_it_goes_on_to_the_same_result(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = preprocess(configure(), ACTOR).run.path
    expected = _artifacts(whole)
    shutil.rmtree(whole)
    runs = set()
    for files_before in (13, 3, 2, 4, 3, 5, 7):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            Interrupted(patch, files_before)
            preprocess(configure(), ACTOR)
        runs |= set((tmp_path / "workspace" / "output_preproc").iterdir())
        assert not list(tmp_path.rglob("*.tmp"))
    assert len(runs) == 1
    last = preprocess(configure(), ACTOR).run
    assert last.path in runs
    assert _artifacts(last.path) == expected
    assert _json(last.path / "report/report.json")["cost"]["resumed"] is True
    assert not (last.path / "work").exists()


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_result(configure: Configure, tmp_path: Path) -> None:
    configuration = configure()
    configuration.save(tmp_path / "configuration.json")
    whole = preprocess(configuration, ACTOR).run.path
    expected = _artifacts(whole)
    shutil.rmtree(whole)
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from audio2face.config import Configuration, Roots\n"
        "from audio2face.preproc.run import preprocess\n"
        "left = int(sys.argv[1]); fsync = os.fsync\n"
        "def count(handle):\n"
        "    global left; left -= 1\n"
        "    if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    fsync(handle)\n"
        "os.fsync = count\n"
        "root = Path(sys.argv[2])\n"
        "roots = Roots(datasets=root, workspace=root / 'workspace')\n"
        "preprocess(Configuration.open(root / 'configuration.json', roots), 'ann')\n"
    )
    for fsyncs_before in (30, 8, 12, 15):
        command = [sys.executable, "-c", code, str(fsyncs_before), str(tmp_path)]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
    last = preprocess(configuration, ACTOR).run.path
    assert _artifacts(last) == expected
    assert [path.name for path in last.parent.iterdir()] == [last.name]
    assert not [path for path in last.rglob("*") if path.name.startswith(".") or path.name == "work"]


def test_work_that_no_longer_fits_is_removed(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Interrupted(patch, 16)
        preprocess(configure(), ACTOR)
    run = preprocess(configure(SKIN_PRUNE_SIM_DIST=50.0), ACTOR).run.path
    others = [path for path in run.parent.iterdir() if path != run]
    assert len(others) == 1
    assert not (others[0] / "work").exists()


def test_a_run_in_the_making_is_left_to_its_process(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Interrupted(patch, 16)
        preprocess(configure(), ACTOR)
    run = RunFolder(next((configure().preproc.PREPROC_OUTPUT_ROOT).iterdir()))
    with run_lock(run), pytest.raises(UserError, match="another process"):
        preprocess(configure(), ACTOR)


def test_of_two_at_once_one_waits_and_uses_what_the_other_made(
    configure: Configure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = configure()
    root = configuration.preproc.PREPROC_OUTPUT_ROOT
    with caplog.at_level("INFO", "audio2face"), ThreadPoolExecutor(2) as pool:
        with one_at_a_time(root, configuration.preproc.RUN_NAME, ACTOR):
            outcomes = [pool.submit(preprocess, configuration, ACTOR) for _ in range(2)]
            while sum("waiting for another process" in message for message in caplog.messages) < 2:
                time.sleep(0.01)
        first, second = (outcome.result() for outcome in outcomes)
    assert {first.reused, second.reused} == {False, True}
    assert first.run == second.run
    assert [path.name for path in root.iterdir()] == [first.run.name]


def test_audio_and_skin_alone_are_enough(configure: Configure) -> None:
    configuration = configure(minimal=True, TRANSFORM_SCALE={ACTOR: {"skin": 2.0}})
    artifacts = PreprocArtifacts.open(preprocess(configuration, ACTOR).run.path)
    assert not artifacts.has_tongue
    assert artifacts.tongue.matrix.shape == (10, 520, 3)
    counts = artifacts.data_info.counts
    assert (counts["num_verts_tongue"], counts["num_keypoints_jaw"], counts["num_angles_eye"]) == (520, 5, 2)
    assert artifacts.data_info.scale["tongue"] == artifacts.data_info.scale["jaw"] == 1.0
    assert artifacts.network_data.members["saccade_rot_matrix"].shape == (5000, 2)
    assert np.abs(artifacts.mean_geometry[:600]).max() == pytest.approx(2.0)
    assert not artifacts.mean_geometry[600:].any()
    # Without a neutral pose the shapes are centred on the poses they were made from.
    frames = _json(artifacts.folder / "pca/skin/intermediate/skin_pruned_poses_pca_final.json")
    coefficients = [artifacts.skin_coefficients.read(shot)[frames[shot]] for shot in frames]
    np.testing.assert_allclose(np.concatenate(coefficients).mean(axis=0), 0, atol=1e-4)


def test_clips_name_the_recordings_as_they_are(configure: Configure, reference_data: Path, tmp_path: Path) -> None:
    root = shutil.copytree(reference_data / "preproc" / "dataset", tmp_path / "dataset")
    plain = configure(minimal=True, root=root)
    dataset = ActorDataset.open(ACTOR, plain.dataset)
    before = ActorInputs.open(dataset, plain.preproc, {}).fingerprint()
    for old, new in (("s2_joy.wav", "s2_joy.mov"), ("s3_anger.wav", "s3_anger.WAV"), ("aug/v1/s2_joy.wav", "")):
        (root / "audio" / old).rename(root / "audio" / (new or "aug/v1/s2_joy.m4a"))
    assert ActorInputs.open(ActorDataset.open(ACTOR, plain.dataset), plain.preproc, {}).fingerprint() != before
    clips = PreprocArtifacts.open(preprocess(plain, ACTOR).run.path).clips
    assert {row[5] for row in clips} == {
        "s1_neutral.wav",
        "s2_joy.mov",
        "s3_anger.WAV",
        "s4_neutral.wav",
        "aug/v1/s2_joy.m4a",
    }


def test_a_coarser_mesh_and_a_mask_choose_the_poses(configure: Configure, tmp_path: Path, reference_data: Path) -> None:
    coarse = tmp_path / "coarse"
    for shot in ("s1_neutral", "s2_joy", "s3_anger", "s4_neutral"):
        fine = open_cache(find_cache(reference_data / "preproc/dataset/cache/skin", shot).path)
        write_cache(coarse / shot / f"{shot}.npy", fine.read(0, len(fine))[:, ::2], fps=30)
    mask = np.zeros(200, bool)
    mask[::2] = True
    np.save(tmp_path / "mask.npy", mask)
    by_mask = preprocess(configure(minimal=True, SKIN_PRUNE_MESH_MASK_FPATH={ACTOR: str(tmp_path / "mask.npy")}), ACTOR)
    by_mesh = preprocess(configure(minimal=True, SKIN_PRUNE_CACHE_ROOT={ACTOR: str(coarse)}), ACTOR)
    assert _artifacts(by_mask.run.path) == _artifacts(by_mesh.run.path)
    write_cache(coarse / "s2_joy" / "s2_joy.npy", np.zeros((90, 100, 3), np.float32), fps=30)
    with pytest.raises(UserError, match="90 frames"):
        preprocess(configure(minimal=True, SKIN_PRUNE_CACHE_ROOT={ACTOR: str(coarse)}), ACTOR)


def test_data_that_would_spoil_training_end_it_before_it_begins(
    configure: Configure, reference_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(reference_data / "preproc" / "dataset", tmp_path / "dataset")
    frames = np.load(root / "cache/skin/s3_anger/s3_anger.npy")
    frames[7, 5] = np.nan
    np.save(root / "cache/skin/s3_anger/s3_anger.npy", frames)
    with pytest.raises(UserError, match="an error"):
        preprocess(configure(minimal=True, root=root), ACTOR)
    assert "not-finite" in capsys.readouterr().out
    assert not (tmp_path / "workspace" / "output_preproc").exists()
    shots = ["s1_neutral", "s2_joy", "s4_neutral"]
    outcome = preprocess(configure(minimal=True, root=root, SKIN_CACHE_SHOTS={ACTOR: shots}), ACTOR)
    assert [row.shot for row in PreprocArtifacts.open(outcome.run.path).shots] == shots


def test_a_tongue_that_is_configured_must_be_there(
    configure: Configure, reference_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(reference_data / "preproc" / "dataset", tmp_path / "dataset")
    configuration = configure(root=root)
    shutil.rmtree(root / "cache" / "tongue")
    with pytest.raises(UserError, match="error"):
        preprocess(configuration, ACTOR)
    assert "cache/tongue" in "".join(capsys.readouterr().out.split())


def test_the_command_takes_known_actors_and_says_where_their_run_is(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A2F_WORKSPACE_ROOT", str(tmp_path / "workspace"))

    def command(*arguments: str) -> int:
        file = tmp_path / "configuration.json"
        configure(minimal=True).save(file)
        return stages.preproc(["small", *arguments, "--config-file", str(file)])

    for wrong in ((), ("ann", "--all"), ("bob",)):
        with pytest.raises(UserError, match="actor") as caught:
            command(*wrong)
        assert "ann" in str(caught.value)
    assert command("ann") == command("--all") == 0
    said = capsys.readouterr().out
    (run,) = (tmp_path / "workspace" / "output_preproc").iterdir()
    assert f"Preproc Run Name Full: {run.name}\n" in said
    assert (run / "deploy/clips_template.py").read_text() in said
    assert f"unchanged, using {run.name}" in said
