"""Whole data sets of a face that speaks, right in all parts, to plant one error in.

Two faces: the example head with everything it has, and an egg of which there are caches only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from audio2face.dataset import ActorDataset
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_NAMES
from audio2face.dataset.checks import CheckReport, check_actor
from audio2face.example.head import Head
from audio2face.example.make import write_actor_files

Change = Callable[[np.ndarray], np.ndarray]

FPS, RATE = 30.0, 16_000
SHOTS = {"a_neutral": 2.6, "b_neutral": 3.0, "c_neutral": 2.2}
FIRST, SECOND, THIRD = SHOTS
FEWEST = ("AUDIO_ROOT", "SKIN_CACHE_ROOT")
PLACES = {
    "AUDIO_ROOT": "audio",
    "SKIN_CACHE_ROOT": "cache/skin",
    "SKIN_NEUTRAL_FPATH": "geom/skin/neutral_pose.npy",
    "SKIN_NEUTRAL_INFERENCE_FPATH": "geom/skin/neutral_inference.npy",
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
    "EYE_SACCADE_ROTATIONS_FPATH": "xform/eye_saccade_rotations.npy",
    "BLENDSHAPE_SKIN_FPATH": "bs_data/bs_skin.npz",
    "BLENDSHAPE_SKIN_CONFIG_FPATH": "bs_data/bs_skin_config.json",
    "BLENDSHAPE_TONGUE_FPATH": "bs_data/bs_tongue.npz",
    "BLENDSHAPE_TONGUE_CONFIG_FPATH": "bs_data/bs_tongue_config.json",
    "EXTRA_PARTS_FPATH": "geom/extra_parts.npz",
}


def loudness(times: np.ndarray) -> np.ndarray:
    """Syllables, 0 to 1."""
    beats = np.sin(2 * np.pi * 2.2 * times) + 0.5 * np.sin(2 * np.pi * 0.9 * times + 1)
    return np.asarray(np.clip(beats, 0, None) / 1.5)


def frame_times(shot: str) -> np.ndarray:
    """Moments of the frames of a shot, which differ from shot to shot."""
    return (np.arange(round(SHOTS[shot] * FPS)) + 0.5) / FPS + list(SHOTS).index(shot)


def write_sound(root: Path) -> None:
    """A buzz with the loudness of the syllables for every shot."""
    (root / "audio").mkdir(parents=True)
    for number, (shot, seconds) in enumerate(SHOTS.items()):
        times = np.arange(round(seconds * RATE)) / RATE
        buzz = np.sum([np.sin(2 * np.pi * 120 * k * times) / k for k in range(1, 20)], axis=0)
        soundfile.write(root / "audio" / f"{shot}.wav", 0.15 * loudness(times + number) * buzz, RATE)


def write_cache(root: Path, part: str, shot: str, frames: np.ndarray) -> None:
    """Animation of one part `[frames, verts, 3]`."""
    path = root / "cache" / part / shot / f"{shot}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, frames.astype(np.float32))


def write_head(root: Path) -> None:
    """The example head, with all parts."""
    head = Head.open("ada")
    write_actor_files(root, head)
    np.save(root / "geom" / "skin" / "neutral_inference.npy", head.skin_part.vertices)
    write_sound(root)
    jaws, eyes = {}, {}
    for shot in SHOTS:
        times = frame_times(shot)
        weights = np.zeros((len(times), len(ARKIT_NAMES)), np.float32)
        weights[:, ARKIT_INDEX["jawOpen"]] = 0.5 * loudness(times)
        for side in ("Left", "Right"):
            weights[:, ARKIT_INDEX[f"mouthSmile{side}"]] = 0.2 + 0.2 * np.sin(1.3 * times)
        tongue = np.zeros((len(times), len(TONGUE_NAMES)), np.float32)
        tongue[:, 0] = 0.3 * loudness(times + 0.1)
        write_cache(root, "skin", shot, head.skin(weights))
        write_cache(root, "tongue", shot, head.tongue(weights, tongue))
        jaws[shot] = head.jaw_keypoint_deltas(weights)
        gaze = np.stack([4 * np.sin(2 * times), 9 * np.sin(1.7 * times)], axis=-1)
        eyes[shot] = np.repeat(gaze[:, None], 2, axis=1).astype(np.float32)
    np.savez(root / "xform" / "jaw_keypoints_cache_all.npz", **jaws)
    np.savez(root / "xform" / "eye_rotations_all.npz", **eyes)


def egg(points: int = 600) -> np.ndarray:
    """A head's size, centimetres, y up, z out of the face, `[points, 3]`."""
    number = np.arange(points)
    height = 1 - 2 * (number + 0.5) / points
    turn, ring = number * np.pi * (3 - 5**0.5), np.sqrt(1 - height**2)
    return np.stack([8 * ring * np.cos(turn), 12 * height, 10 * ring * np.sin(turn)], axis=1).astype(np.float32)


def write_egg(root: Path, rest: np.ndarray | None = None) -> None:
    """Caches of an egg, or of another pose around the same mouth, which opens with the sound."""
    write_sound(root)
    rest = egg() if rest is None else rest
    mouth = np.exp(-np.square(rest - np.array([0, -5, 9], np.float32)).sum(axis=1) / 20)
    for shot in SHOTS:
        times = frame_times(shot)
        frames = np.repeat(rest[None], len(times), axis=0)
        frames[:, :, 1] += 0.8 * loudness(times)[:, None] * mouth * np.sign(rest[:, 1] + 5)
        frames[:, :, 2] += 0.2 * np.sin(3 * times)[:, None] * mouth
        write_cache(root, "skin", shot, frames)


def check(root: Path, only: tuple[str, ...] = tuple(PLACES)) -> CheckReport:
    """Checks what a folder holds, of the parameters `only`."""
    paths = {name: root / PLACES[name] for name in only if (root / PLACES[name]).exists()}
    return check_actor(ActorDataset("actor", FPS, paths, ("neutral",), {}))


def change(root: Path, place: str, by: Change) -> None:
    """Replaces the array of a file by what `by` makes of it."""
    path = root / place
    np.save(path, np.ascontiguousarray(by(np.load(path)), np.float32))


def change_all(root: Path, place: str, by: Change, names: Callable[[str], bool] = lambda _: True) -> None:
    """Replaces the arrays `[..., 3]` or angles of an archive whose names are meant."""
    with np.load(root / place) as archive:
        arrays = dict(archive)
    meant = {name for name, array in arrays.items() if array.dtype.kind == "f" and array.ndim >= 2 and names(name)}
    np.savez(root / place, **{name: by(it) if name in meant else it for name, it in arrays.items()})


def change_shot(root: Path, part: str, shot: str, by: Change) -> None:
    """Replaces the animation of one part in one shot."""
    change(root, f"cache/{part}/{shot}/{shot}.npy", by)


def change_everything(root: Path, by: Change) -> None:
    """Replaces all positions and offsets, as if the whole scene were exported otherwise."""
    for path in root.rglob("*.npy"):
        place = str(path.relative_to(root))
        if place.startswith("cache") or "pose" in place or "neutral" in place:
            change(root, place, by)
    for place in ("xform/jaw_keypoints_cache_all.npz", "bs_data/bs_skin.npz", "bs_data/bs_tongue.npz"):
        if (root / place).exists():
            change_all(root, place, by)
    if (root / "geom/extra_parts.npz").exists():
        change_all(root, "geom/extra_parts.npz", by, lambda name: name.endswith("vertices"))


def change_list(root: Path, place: str, value: object) -> None:
    """Replaces a list of vertices."""
    (root / place).write_text(json.dumps(value))
