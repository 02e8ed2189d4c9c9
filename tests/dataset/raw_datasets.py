"""Raw datasets to look at and to spoil: the small reference one, enlarged by copies of its shots."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from audio2face.dataset import ActorDataset
from audio2face.geometry import find_cache, open_cache, write_cache

ACTOR = "ann"
FPS = 30.0
PLACES = {
    "AUDIO_ROOT": "audio",
    "SKIN_CACHE_ROOT": "cache/skin",
    "SKIN_NEUTRAL_FPATH": "geom/skin/neutral_pose.npy",
    "SKIN_LIP_OPEN_POSE_DELTA_FPATH": "geom/skin/lip_open_pose_delta.npy",
    "SKIN_EYE_CLOSE_POSE_DELTA_FPATH": "geom/skin/eye_close_pose_delta.npy",
    "SKIN_LIP_DIST_VERTEX_LIST_FPATH": "geom/skin/lip_dist_vertex_list.json",
    "SKIN_LIP_SIZE_VERTEX_LIST_FPATH": "geom/skin/lip_size_vertex_list.json",
    "SKIN_EYE_DIST_VERTEX_LIST_FPATH": "geom/skin/eye_dist_vertex_list.json",
    "TONGUE_CACHE_ROOT": "cache/tongue",
    "TONGUE_NEUTRAL_FPATH": "geom/tongue/neutral_pose.npy",
    "TONGUE_RIGID_VERTEX_LIST_FPATH": "geom/tongue/rigid_vertex_list.json",
    "JAW_KEYPOINTS_NEUTRAL_FPATH": "xform/jaw_keypoints_neutral.npy",
    "JAW_ANIM_DATA_FPATH": "xform/jaw_keypoints_cache_all.npz",
    "EYE_ANIM_DATA_FPATH": "xform/eye_rotations_all.npz",
    "EYE_BLINK_KEYS_FPATH": "xform/eye_blink_keys.npy",
    "EYE_SACCADE_ROTATIONS_FPATH": "xform/eye_saccade_rotations.npy",
    "BLENDSHAPE_SKIN_FPATH": "bs_data/bs_skin.npz",
    "BLENDSHAPE_SKIN_CONFIG_FPATH": "bs_data/bs_skin_config.json",
}
Open = Callable[..., ActorDataset]


def write_config(folder: Path, root: Path, **changes: object) -> None:
    """Writes `config_dataset.py` for the contents of a dataset folder; `changes` are whole parameters."""
    values: dict[str, object] = {
        name: {ACTOR: str(root / place)} for name, place in PLACES.items() if (root / place).exists()
    }
    values |= {"ACTOR_NAMES": [ACTOR], "CACHE_FPS": {ACTOR: FPS}, "SHOT_EMOTION_NAMES": ["neutral", "joy", "anger"]}
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} = {value!r}\n" for name, value in (values | changes).items()]
    (folder / "config_dataset.py").write_text("".join(lines), encoding="utf-8")


def add_shot(root: Path, source: str, name: str, extension: str = ".npy") -> None:
    """Copies a shot under another name, its caches in the format of `extension`."""
    for part in ("skin", "tongue"):
        frames = open_cache(find_cache(root / "cache" / part, source).path)[:]
        write_cache(root / "cache" / part / name / f"{name}{extension}", frames, fps=FPS)
    shutil.copy(root / "audio" / f"{source}.wav", root / "audio" / f"{name}.wav")
    for file in ("jaw_keypoints_cache_all.npz", "eye_rotations_all.npz"):
        change_npz(root / "xform" / file, lambda arrays: arrays.update({name: arrays[source]}))


def change_npz(path: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Reads all arrays of an archive, applies `change` to them, and writes them back."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez(path, **arrays)


def change_sound(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replaces the samples of a recording."""
    samples, rate = soundfile.read(path, dtype="float32")
    soundfile.write(path, change(samples), rate)


def change_json(path: Path, change: Callable[[dict], object]) -> None:
    """Reads a JSON object, applies `change` to it, and writes it back."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def add_blendshapes(root: Path) -> None:
    """Gives the dataset two valid blend shapes of the skin."""
    neutral = np.load(root / "geom" / "skin" / "neutral_pose.npy")
    shapes = np.random.default_rng(0).normal(0, 0.1, (2, *neutral.shape)).astype(np.float32)
    folder = root / "bs_data"
    folder.mkdir()
    np.savez(
        folder / "bs_skin.npz",
        poseNames=np.array(["neutral", "jawOpen", "mouthFunnel"], "S"),
        neutral=neutral,
        jawOpen=shapes[0],
        mouthFunnel=shapes[1],
        frontalMask=np.arange(50, dtype=np.int32),
    )
    parameters = {
        "strengthL1regularization": 1.0,
        "strengthL2regularization": 3.5,
        "strengthTemporalSmoothing": 0.0,
        "strengthSymmetry": 10.0,
        "numPoses": 2,
        "bsSolveActivePoses": [1, 1],
        "bsSolveCancelPoses": [-1, -1],
        "bsSolveSymmetryPoses": [0, 0],
        "bsWeightMultipliers": [1.0, 1.0],
        "bsWeightOffsets": [0.0, 0.0],
        "templateBBSize": 50.0,
    }
    (folder / "bs_skin_config.json").write_text(json.dumps({"blendshape_params": parameters}))
