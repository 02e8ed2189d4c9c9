"""Finished animations that the tests of the exports write and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_NAMES
from audio2face.example.head import Head, HeadPart
from audio2face.export import Animation, BlendWeights, Surface

FPS = 30.0
SAMPLERATE = 16_000


def example_face(folder: Path, num_frames: int = 24) -> Animation:
    """The example head saying "ah" with a smile, a lifted tongue and a sidelong look, over a falling tone.

    Args:
        folder: where the recording is written.
        num_frames: frames, at 30 per second.
    """
    head = Head.open("ada")
    phase = np.linspace(0, 2 * np.pi, num_frames, endpoint=False)
    weights = np.zeros((num_frames, len(ARKIT_NAMES)), np.float32)
    weights[:, ARKIT_INDEX["jawOpen"]] = 0.35 * (1 - np.cos(phase))
    weights[:, ARKIT_INDEX["mouthSmileLeft"]] = 0.4 * np.sin(phase) ** 2
    weights[:, ARKIT_INDEX["jawLeft"]] = 0.3 * np.sin(phase / 2)
    weights[:, ARKIT_INDEX["eyeBlinkRight"]] = phase > 5
    tongue = np.zeros((num_frames, len(TONGUE_NAMES)), np.float32)
    tongue[:, TONGUE_NAMES.index("tongueTipUp")] = np.sin(phase / 2)
    rotations, translations = head.jaw_transforms(weights)
    jaw = np.tile(np.eye(4, dtype=np.float32), (num_frames, 1, 1))
    jaw[:, :3, :3], jaw[:, :3, 3] = rotations, translations
    eyes = np.stack([5 * np.sin(phase), 10 * np.cos(phase), 4 * np.sin(phase), 12 * np.cos(phase)], axis=1)
    return Animation(
        actor="ada",
        fps=FPS,
        skin=Surface(head.skin_part.vertices, head.skin(weights), head.skin_part.faces),
        tongue=Surface(head.tongue_part.vertices, head.tongue(weights, tongue), head.tongue_part.faces),
        jaw=jaw,
        eyes=eyes.astype(np.float32),
        emotions=("joy", "anger"),
        emotion=np.stack([phase / 7, 1 - phase / 7], axis=1).astype(np.float32),
        skin_weights=BlendWeights(ARKIT_NAMES, weights, head.skin_part.vertices, head.skin_shapes),
        tongue_weights=BlendWeights(TONGUE_NAMES, tongue, head.tongue_part.vertices, head.tongue_shapes),
        parts=_parts(head),
        audio=tone(folder / "recording.flac", num_frames / FPS),
        facts={"model": "none"},
    )


def bare_face(num_frames: int = 5, num_verts: int = 40) -> Animation:
    """A cloud of points that swells: no faces, tongue, weights, parts or recording."""
    neutral = np.random.default_rng(0).standard_normal((num_verts, 3)).astype(np.float32)
    growth = np.linspace(1, 1.2, num_frames, dtype=np.float32)[:, None, None]
    return Animation(
        actor="nobody",
        fps=60.0,
        skin=Surface(neutral, neutral * growth),
        tongue=None,
        jaw=np.tile(np.eye(4, dtype=np.float32), (num_frames, 1, 1)),
        eyes=np.zeros((num_frames, 4), np.float32),
        emotion=np.zeros((num_frames, 0), np.float32),
    )


def without_weights(animation: Animation) -> Animation:
    """The same motion, of a face whose blend shapes nobody made."""
    return replace(animation, skin_weights=None, tongue_weights=None)


def tone(path: Path, seconds: float, samplerate: int = SAMPLERATE) -> Path:
    """A tone that falls from 440 Hz, written as its extension says."""
    time = np.arange(int(seconds * samplerate)) / samplerate
    soundfile.write(path, 0.4 * np.sin(2 * np.pi * (440 - 100 * time) * time), samplerate)
    return path


def _parts(head: Head) -> dict[str, np.ndarray]:
    """What `preproc.display.display_data` gathers of the example actor, as far as it is drawn."""
    half = len(head.eyes_part.vertices) // 2
    right = np.all(head.eyes_part.faces < half, axis=1)
    vertices, faces, colours = head.eyes_part.vertices, head.eyes_part.faces, head.eyes_part.colours
    parts = {
        "upper_teeth": head.upper_teeth_part,
        "lower_teeth": head.lower_teeth_part,
        "right_eye": HeadPart(vertices[:half], faces[right], colours[:half]),
        "left_eye": HeadPart(vertices[half:], faces[~right] - half, colours[half:]),
    }
    arrays: dict[str, np.ndarray] = {
        "skin_faces": head.skin_part.faces,
        "tongue_faces": head.tongue_part.faces,
        "extra_eye_centres": head.eye_centres,
        "extra_skin_colours": head.skin_part.colours,
        "extra_tongue_colours": head.tongue_part.colours,
    }
    for name, part in parts.items():
        arrays |= {
            f"extra_{name}_vertices": part.vertices,
            f"extra_{name}_faces": part.faces,
            f"extra_{name}_colours": part.colours,
        }
    return arrays
