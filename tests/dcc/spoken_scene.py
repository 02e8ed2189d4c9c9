"""A performance of the example head for a Blender scene: what the scene is made of, and what an export must give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy import signal

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_NAMES
from audio2face.example.expression import FPS, add_performance
from audio2face.example.head import Head
from audio2face.example.recording import all_takes
from audio2face.example.speech import SAMPLE_RATE, VOICES, Speaker
from audio2face.types import Float32Array, Float64Array

SCENE_RATE = (24, 1.001)
_SCENE_FPS = SCENE_RATE[0] / SCENE_RATE[1]
_FIRST = 11
_PAUSE = 9  # frames between the shots
_LEAD = 24  # frames of the first recording before its sentence
_JAW = ("jawOpen", "mouthClose", "jawForward", "jawLeft", "jawRight")
_KINDS = ("neutral", "joy")


@dataclass(frozen=True)
class SpokenShot:
    """A shot of the scene, and its truth.

    Attributes:
        name: of the marker.
        first: its first frame.
        weights: `[frames, 52]`.
        tongue_weights: `[frames, 16]`.
        eyes: `[frames, 2, 2]` degrees.
        samples: the sentence, beginning with the first frame, `[samples]` at `SAMPLE_RATE`.
    """

    name: str
    first: int
    weights: Float32Array
    tongue_weights: Float32Array
    eyes: Float32Array
    samples: Float32Array


def speak(head: Head) -> list[SpokenShot]:
    """Two sentences, one after the other on the time line."""
    speaker, shots, first = Speaker(), [], _FIRST
    takes = {take.sentence.emotion: take for take in reversed(all_takes())}
    for emotion in _KINDS:
        take = takes[emotion]
        rng = np.random.default_rng(take.number)
        utterance = speaker.synthesise(take.sentence, VOICES["ada"], take.number)
        performance = add_performance(utterance, emotion, head, rng)
        count = int(len(utterance.samples) / SAMPLE_RATE * _SCENE_FPS)
        curves = [performance.weights, performance.tongue_weights, performance.eye_rotations.reshape(-1, 4)]
        weights, tongue, eyes = (_at_scene_rate(curve, count) for curve in curves)
        name = f"s{take.number:02d}_{emotion}"
        shots.append(SpokenShot(name, first, weights, tongue, eyes.reshape(-1, 2, 2), utterance.samples))
        first += count + _PAUSE
    return shots


def _at_scene_rate(curve: Float32Array, count: int) -> Float32Array:
    """Frame k of the scene shows the time k / fps; frame i of a performance is at (i + 0.5) / 30."""
    at = np.arange(count) / _SCENE_FPS * FPS - 0.5
    return np.column_stack([np.interp(at, np.arange(len(curve)), column) for column in curve.T]).astype(np.float32)


def write_inputs(folder: Path, head: Head, shots: list[SpokenShot], place: Float64Array, **more: Any) -> Path:
    """Writes the recordings, and the arrays that `make_scene.py` builds the scene from."""
    frames = np.concatenate([shot.first + np.arange(len(shot.weights)) for shot in shots])
    weights = np.concatenate([shot.weights for shot in shots])
    jaw = np.tile(np.eye(4), (len(weights), 1, 1))
    jaw[:, :3, :3], jaw[:, :3, 3] = head.jaw_transforms(weights)
    parts = head.extra_parts()
    arrays: dict[str, Any] = {
        "frames": frames,
        "nod": 0.1 * np.sin(frames / 9.0),
        "jaw": jaw,
        "hinge": head.jaw_hinge,
        "skin": head.skin_part.vertices,
        "skin_faces": head.skin_part.faces,
        "names": np.array(ARKIT_NAMES),
        "deltas": head.skin_shapes,
        "weights": weights,
        "tongue": head.tongue_part.vertices,
        "tongue_faces": head.tongue_part.faces,
        "tongue_names": np.array([*TONGUE_NAMES, "tongueOut"]),
        "tongue_deltas": np.concatenate([head.tongue_shapes, head.tongue_out[None]]),
        "tongue_weights": np.column_stack(
            [np.concatenate([shot.tongue_weights for shot in shots]), weights[:, ARKIT_INDEX["tongueOut"]]]
        ),
        "eye_centres": head.eye_centres,
        "eyes": np.concatenate([shot.eyes for shot in shots]),
    }
    names = {"lower_teeth": "LowerTeeth", "upper_teeth": "UpperTeeth", "right_eye": "EyeRight", "left_eye": "EyeLeft"}
    for ours, theirs in names.items():
        arrays |= {f"{theirs}_{kind}": parts[f"{ours}_{kind}"] for kind in ("faces", "colours")}
        arrays[theirs] = parts[f"{ours}_vertices"]
    arrays |= {name: parts[name] for name in ("skin_colours", "tongue_colours")}
    last = shots[-1]
    end = last.first + len(last.weights)
    settings = {
        "fps": SCENE_RATE,
        "range": [1, end + 5],
        "place": place.tolist(),
        "markers": [
            [shots[0].first, shots[0].name],
            [shots[0].first + len(shots[0].weights), "end"],
            [last.first, last.name],
            [end, "END"],
        ],
        "sounds": _write_sounds(folder, shots),
        **more,
    }
    path = folder / "scene.npz"
    np.savez(path, **arrays, settings=np.array(json.dumps(settings)))
    return path


def _write_sounds(folder: Path, shots: list[SpokenShot]) -> list[tuple[str, int, int]]:
    """The first recording begins a second early, cut off by the strip; the second is stereo at another rate."""
    lead = np.random.default_rng(0).normal(0, 0.1, round(_LEAD / _SCENE_FPS * SAMPLE_RATE)).astype(np.float32)
    early, late = folder / "early.wav", folder / "late.flac"
    soundfile.write(early, np.concatenate([lead, shots[0].samples]), SAMPLE_RATE, subtype="PCM_16")
    upsampled = signal.resample_poly(shots[1].samples, 147, 80) if SAMPLE_RATE == 24_000 else shots[1].samples
    soundfile.write(late, np.column_stack([upsampled, upsampled]), 44_100 if SAMPLE_RATE == 24_000 else SAMPLE_RATE)
    return [(str(early), shots[0].first - _LEAD, _LEAD), (str(late), shots[1].first, 0)]
