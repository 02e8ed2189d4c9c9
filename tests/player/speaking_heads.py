"""Animations that the tests of the player show: a head whose mouth opens once a second, and simpler ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_NAMES
from audio2face.example.head import Head, HeadPart
from audio2face.export import Animation, Surface

SAMPLERATE = 22_050


def speaking_head(folder: Path, seconds: float = 3.0, fps: float = 60.0, openness: float = 0.7) -> Animation:
    """The example head: mouth shut at every full second, open in between, a restless face, over a tone.

    Args:
        folder: where the recording is written.
        seconds: length.
        fps: frames per second.
        openness: weight of the open jaw at its most.
    """
    head = Head.open("ada")
    count = round(seconds * fps)
    weights = np.zeros((count, len(ARKIT_NAMES)), np.float32)
    weights[:, ARKIT_INDEX["jawOpen"]] = openness * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(count) / fps))
    for place, name in enumerate(("mouthSmileLeft", "browInnerUp", "eyeSquintRight", "noseSneerLeft")):
        weights[:, ARKIT_INDEX[name]] = 0.3 + 0.3 * np.sin((place + 2) * np.arange(count) / fps)
    rotations, translations = head.jaw_transforms(weights)
    jaw = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    jaw[:, :3, :3], jaw[:, :3, 3] = rotations, translations
    still_tongue = np.zeros((count, len(TONGUE_NAMES)), np.float32)
    return Animation(
        actor="ada",
        fps=fps,
        skin=Surface(head.skin_part.vertices, head.skin(weights), head.skin_part.faces),
        tongue=Surface(head.tongue_part.vertices, head.tongue(weights, still_tongue), head.tongue_part.faces),
        jaw=jaw,
        eyes=np.zeros((count, 4), np.float32),
        emotions=("joy", "anger"),
        emotion=np.tile(np.array([0.75, 0.25], np.float32), (count, 1)),
        parts=_parts(head),
        audio=_tone(folder / "tone.wav", seconds),
        facts={"model": "</script><b>made up</b>", "settings": {"strength": 1.25}},
    )


def cloud(num_frames: int = 90) -> Animation:
    """Points that swell: no faces, tongue, parts or recording."""
    neutral = np.random.default_rng(0).standard_normal((500, 3)).astype(np.float32)
    growth = np.linspace(1, 1.2, num_frames, dtype=np.float32)[:, None, None]
    return Animation(
        actor="nobody",
        fps=30.0,
        skin=Surface(neutral, neutral * growth),
        tongue=None,
        jaw=np.tile(np.eye(4, dtype=np.float32), (num_frames, 1, 1)),
        eyes=np.zeros((num_frames, 4), np.float32),
        emotion=np.zeros((num_frames, 0), np.float32),
    )


def with_dent(animation: Animation, vertex: int, depth_cm: float) -> Animation:
    """The same motion with the skin within 1.5 cm around a vertex pushed in."""
    near = np.linalg.norm(animation.skin.neutral - animation.skin.neutral[vertex], axis=1) < 1.5
    frames = animation.skin.frames.copy()
    frames[:, near, 2] -= depth_cm
    return replace(animation, skin=replace(animation.skin, frames=frames))


def _parts(head: Head) -> dict[str, np.ndarray]:
    def rigid(name: str, part: HeadPart) -> dict[str, np.ndarray]:
        return {
            f"extra_{name}_vertices": part.vertices,
            f"extra_{name}_faces": part.faces,
            f"extra_{name}_colours": part.colours,
        }

    marks = {f"lip_{side}": np.asarray(head.lip_dist[side], np.int32) for side in ("upper", "lower")}
    marks |= {f"eye_{side}": np.asarray(head.eye_dist[side], np.int32) for side in ("upper", "lower")}
    marks |= {"extra_skin_colours": head.skin_part.colours}
    return rigid("upper_teeth", head.upper_teeth_part) | rigid("lower_teeth", head.lower_teeth_part) | marks


def _tone(path: Path, seconds: float) -> Path:
    time = np.arange(round(seconds * SAMPLERATE)) / SAMPLERATE
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * time), SAMPLERATE)
    return path
