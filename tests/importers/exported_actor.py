"""The sentence of the example actor as a finished animation, which the exporters write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from example_performances import performed
from research_sets import FPS, write_sound

from audio2face.animation.animation import Animation, BlendWeights, Surface
from audio2face.dataset.arkit_names import ARKIT_NAMES, TONGUE_NAMES
from audio2face.example.head import Head


def tongue_weights(count: int) -> np.ndarray:
    """A tongue that moves by itself, `[frames, 16]`."""
    weights = np.zeros((count, len(TONGUE_NAMES)), np.float32)
    weights[:, 0] = 0.5 + 0.5 * np.sin(np.arange(count) / 5)
    return weights


def spoken_animation(folder: Path, *, with_weights: bool = True, frames: int | None = None) -> Animation:
    """The sentence, and its recording in a folder; without weights the skin is its positions only."""
    head, spoken = Head.open("ada"), performed()
    weights = spoken.weights[:frames]
    count = len(weights)
    skin, tongue = head.skin(weights), head.tongue(weights, tongue_weights(count))
    rotations, translations = head.jaw_transforms(weights)
    jaw = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    jaw[:, :3, :3], jaw[:, :3, 3] = rotations, translations
    write_sound(folder / "ada_joy.wav")
    neutral = head.skin_part.vertices
    return Animation(
        actor="ada",
        fps=FPS,
        skin=Surface(neutral, skin, head.skin_part.faces),
        tongue=Surface(head.tongue_part.vertices, tongue, head.tongue_part.faces),
        jaw=jaw,
        eyes=spoken.eyes[:count].reshape(count, 4),
        emotion=np.zeros((count, 0), np.float32),
        skin_weights=BlendWeights(ARKIT_NAMES, weights, neutral, head.skin_shapes) if with_weights else None,
        parts={f"extra_{name}": array for name, array in head.extra_parts().items()}
        | {"extra_eye_centres": head.eye_centres},
        audio=folder / "ada_joy.wav",
    )
