"""What preprocessing holds does not grow with shots and frames: handles, results, pairs of frames, columns."""

from __future__ import annotations

import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from audio2face.geometry import write_cache
from audio2face.geometry.point_cache import PointCache, StridedFrames
from audio2face.preproc import pose_sketch, prune, selection
from audio2face.preproc.prune import prune_similar
from audio2face.preproc.selection import select_distinct
from audio2face.preproc.steps import each_shot

ROOT = Path(__file__).parents[2]
NUM_SHOTS, MOST_HANDLES = 50, 64

# Run where few handles are to be had: checks, preprocesses and opens what training reads.
_STAGES = """
import resource, sys
from pathlib import Path
import numpy as np
from audio2face.config import Roots, load
from audio2face.dataset import ActorDataset
from audio2face.dataset.checks import check_actor
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.run import preprocess

folder, most = Path(sys.argv[1]), int(sys.argv[2])
roots = Roots(datasets=folder, workspace=folder / "workspace")
configuration = load("many", stage="preproc", actors=["m"], roots=roots, configs_folder=folder / "configs")
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
dataset = ActorDataset.open("m", configuration.dataset)
unreadable = [finding for finding in check_actor(dataset).findings if "unreadable" in finding.code]
assert not unreadable, unreadable
run = preprocess(configuration, "m").run.path
coefficients = PreprocArtifacts.open(run).skin_coefficients
read = {name: coefficients.read(name) for name in coefficients.members}
assert {len(values) for values in read.values()} == {8}, read
print(len(read))
"""


def write_actor(folder: Path, num_shots: int) -> None:
    """An actor of many short shots with a tongue, in one cache format after the other."""
    import soundfile

    rng = np.random.default_rng(0)
    rest = {"skin": rng.uniform(-8, 8, (40, 3)), "tongue": rng.uniform(-2, 2, (12, 3))}
    moves = {part: rng.standard_normal(pose.shape) for part, pose in rest.items()}
    (folder / "audio").mkdir(parents=True)
    for number in range(num_shots):
        shot = f"s{number:04d}"
        soundfile.write(folder / "audio" / f"{shot}.wav", rng.standard_normal(4267) * 0.05, 16000)
        for part, pose in rest.items():
            frames = pose + 0.2 * np.sin(np.arange(8) + number)[:, None, None] * moves[part]
            extension = (".npy", ".xml", ".pc2", ".mdd")[number % 4]
            target = folder / part / shot / f"{shot}{extension}"
            target.parent.mkdir(parents=True)
            write_cache(target, frames.astype(np.float32), fps=30)
    np.save(folder / "tongue_neutral.npy", rest["tongue"].astype(np.float32))
    (folder / "rigid.json").write_text("[0, 1, 2, 3, 4, 5]")
    dataset = {
        "AUDIO_ROOT": "audio",
        "SKIN_CACHE_ROOT": "skin",
        "TONGUE_CACHE_ROOT": "tongue",
        "TONGUE_NEUTRAL_FPATH": "tongue_neutral.npy",
        "TONGUE_RIGID_VERTEX_LIST_FPATH": "rigid.json",
    }
    lines = [f"{name} = {{'m': {str(folder / path)!r}}}" for name, path in dataset.items()]
    configs = folder / "configs" / "many"
    configs.mkdir(parents=True)
    (configs / "config_dataset.py").write_text("\n".join(["ACTOR_NAMES = ['m']", "CACHE_FPS = {'m': 30.0}", *lines]))
    (configs / "config_preproc.py").write_text("RUN_NAME = 'm'\nSKIN_SELECT_DISTINCT_MAX_ITER = 4\n")


def test_more_shots_than_handles(tmp_path: Path) -> None:
    write_actor(tmp_path, NUM_SHOTS)
    command = [sys.executable, "-c", _STAGES, str(tmp_path), str(MOST_HANDLES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == str(NUM_SHOTS)


def test_a_cache_that_changes_while_it_is_in_use(tmp_path: Path) -> None:
    """Opening many others closes it; a later file of its name is detected."""
    from audio2face.errors import FileFormatError
    from audio2face.geometry import open_cache

    frames = np.zeros((3, 5, 3), np.float32)
    for number in range(40):
        write_cache(tmp_path / f"{number}.npy", frames + number, fps=30)
    caches = [open_cache(tmp_path / f"{number}.npy") for number in range(40)]
    assert [float(cache[1].max()) for cache in caches] == list(range(40))
    write_cache(tmp_path / "0.npy", frames, fps=30)
    with pytest.raises(FileFormatError, match=r"0\.npy: was changed while it was in use"):
        caches[0].read(0, 1)


class _Result:
    pass


def test_results_of_shots_are_let_go() -> None:
    alive: weakref.WeakSet[_Result] = weakref.WeakSet()

    def work(_name: str, _item: int) -> _Result:
        result = _Result()
        alive.add(result)
        return result

    shots, seen, most = {f"s{number}": number for number in range(200)}, set(), 0
    for name, _ in each_shot(shots, work, 2):
        seen.add(name)
        most = max(most, len(alive))
    assert seen == shots.keys()
    assert most <= 8


def cache_of(frames: np.ndarray) -> PointCache:
    return PointCache(Path("memory"), *frames.shape[:2], frames.dtype, StridedFrames(frames))


@pytest.mark.parametrize(("stride", "repeat", "keep_whole"), [(10, True, 10), (3, True, 0), (10, False, 0)])
def test_pruning_in_blocks(monkeypatch: pytest.MonkeyPatch, stride: int, repeat: bool, keep_whole: int) -> None:
    """However few poses, pairs and directions are in memory together, the same frames are kept."""
    rng = np.random.default_rng(1)
    steps = rng.standard_normal((700, 4)).cumsum(axis=0) @ rng.standard_normal((4, 60))
    poses = cache_of(steps.reshape(700, 20, 3).astype(np.float32))
    kept = prune_similar(poses, 20.0, stride, keep_whole, repeat)
    assert 50 < len(kept) < 600
    monkeypatch.setattr(prune, "_READ_BYTES", 32 * 60 * 4)
    for most in (1, 10**2, 300**2):
        monkeypatch.setattr(prune, "_MOST_PAIRS", most)
        monkeypatch.setattr(prune, "_SKETCH_BYTES", most * 56)
        np.testing.assert_array_equal(prune_similar(poses, 20.0, stride, keep_whole, repeat), kept)


@pytest.mark.parametrize("directions", [2, 9, 60])
def test_selection_in_little_memory(directions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few directions, poses and products are in memory together, the same poses are selected."""
    rng = np.random.default_rng(2)
    poses = (rng.standard_normal((2500, 12)) @ rng.standard_normal((12, 90))).astype(np.float32)
    poses += 0.01 * rng.standard_normal(poses.shape).astype(np.float32)
    usual = [pick.row for pick in select_distinct(poses, 30)]
    monkeypatch.setattr(selection, "_SKETCH_BYTES", 4 * 2500 * directions)
    monkeypatch.setattr(selection, "_AT_ONCE", 8 * 90 * 2)
    monkeypatch.setattr(selection, "_KNOWN_BYTES", 0)
    monkeypatch.setattr(pose_sketch, "_READ_BYTES", 4 * 90 * 100)
    assert [pick.row for pick in select_distinct(poses, 30)] == usual
