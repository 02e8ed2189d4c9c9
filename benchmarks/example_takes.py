"""The example actor as takes of Live Link Face, for round trips through the importers.

    .venv/bin/python -m benchmarks.example_takes FOLDER

Writes `FOLDER/seen` (the 44 sentences that the quickstart trains on) and `FOLDER/unseen` (the two that it is judged
on): tables of weights by the project's own export, and recordings that begin at the middle of the first frame: frame i
of a take is at i / fps. docs/quality.md has what a network reaches that is trained on them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

from audio2face.animation.animation import Animation, BlendWeights, Surface
from audio2face.console import track
from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.example.expression import FPS, Performance, add_performance
from audio2face.example.head import Head
from audio2face.example.recording import all_takes
from audio2face.example.speech import SAMPLE_RATE, VOICES, Speaker
from audio2face.export.arkit import write_arkit

ACTOR = "ada"


def main() -> None:
    """Writes all takes."""
    folder, head, speaker = Path(sys.argv[1]), Head.open(ACTOR), Speaker()
    takes = all_takes()
    for take in track(takes, len(takes), "writing takes"):
        utterance = speaker.synthesise(take.sentence, VOICES[ACTOR], take.seed)
        motion = add_performance(utterance, take.sentence.emotion, head, np.random.default_rng([take.seed, 0]))
        place = folder / ("unseen" if take.unseen else "seen")
        place.mkdir(parents=True, exist_ok=True)
        table, document = write_arkit(_animation(motion, head), place, take.shot(ACTOR))
        document.unlink()
        table.rename(place / f"{take.shot(ACTOR)}.csv")
        samples = utterance.samples[round(SAMPLE_RATE / FPS / 2) :]
        soundfile.write(place / f"{take.shot(ACTOR)}.wav", samples, SAMPLE_RATE, subtype="PCM_16")


def _animation(motion: Performance, head: Head) -> Animation:
    count, neutral = len(motion.weights), head.skin_part.vertices
    rotations, translations = head.jaw_transforms(motion.weights)
    jaw = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    jaw[:, :3, :3], jaw[:, :3, 3] = rotations, translations
    return Animation(
        actor=ACTOR,
        fps=FPS,
        skin=Surface(neutral, np.broadcast_to(neutral, (count, *neutral.shape))),
        tongue=None,
        jaw=jaw,
        eyes=motion.eye_rotations.reshape(count, 4),
        emotion=np.zeros((count, 0), np.float32),
        skin_weights=BlendWeights(ARKIT_NAMES, motion.weights, neutral, head.skin_shapes),
    )


if __name__ == "__main__":
    main()
