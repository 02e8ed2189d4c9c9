"""Takes as Live Link Face writes them, of the example actor: a table by the project's export, and a recording."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audio2face.animation.animation import Animation, Surface
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.export.arkit import write_arkit
from audio2face.rigs.opening import open_rig

SAMPLERATE = 24_000
Rows = list[list[str]]


@dataclass(frozen=True)
class Spoken:
    """Motion and sound of a take: frame i is the face at i / fps seconds of the sound.

    Attributes:
        weights: float32 `[frames, 52]`.
        eyes: float32 `[frames, 2, 2]`, degrees.
        samples: float32 `[samples]`.
        samplerate: of the samples.
    """

    weights: np.ndarray
    eyes: np.ndarray
    samples: np.ndarray
    samplerate: int = SAMPLERATE


def babble(seconds: float = 4.0, fps: float = 30.0, seed: int = 0) -> Spoken:
    """A jaw that opens with the loudness of a sound, twice or so a second, with blinks and looks aside."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * fps)) / fps
    onsets = np.cumsum(rng.uniform(0.3, 0.7, int(3 * seconds) + 4))

    def opening(at: np.ndarray) -> np.ndarray:
        return np.exp(-(((at[:, None] - onsets) / 0.08) ** 2)).sum(axis=1).clip(0, 1)

    weights = np.zeros((len(times), len(ARKIT_NAMES)), np.float32)
    weights[:, ARKIT_INDEX["jawOpen"]] = 0.6 * opening(times)
    weights[:, ARKIT_INDEX["mouthFunnel"]] = 0.2 * opening(times - 0.05)
    weights[:, ARKIT_INDEX["jawLeft"]] = 0.1 * np.sin(times).clip(0)
    for side in ("Left", "Right"):
        weights[:, ARKIT_INDEX[f"eyeBlink{side}"]] = np.exp(-(((times % 2.0 - 1.0) / 0.06) ** 2))
    eyes = np.stack([np.stack([3 * np.sin(times), 8 * np.cos(times)], axis=1)] * 2, axis=1)
    sound = np.arange(round(seconds * SAMPLERATE)) / SAMPLERATE
    noise = rng.standard_normal(len(sound))
    return Spoken(weights, eyes.astype(np.float32), (0.2 * opening(sound) * noise).astype(np.float32))


def write_take(folder: Path, name: str, spoken: Spoken, fps: float = 30.0, *, with_sound: bool = True) -> Path:
    """Writes `<name>.csv`, by the export `arkit`, and `<name>.wav`; returns the table."""
    rig = open_rig("example")
    count = len(spoken.weights)
    animation = Animation(
        actor="ada",
        fps=fps,
        skin=Surface(rig.neutral, np.broadcast_to(rig.neutral, (count, *rig.neutral.shape))),
        tongue=None,
        jaw=rig.jaw(spoken.weights),
        eyes=spoken.eyes.reshape(count, 4),
        emotion=np.zeros((count, 0), np.float32),
        skin_weights=rig.weights(spoken.weights),
    )
    folder.mkdir(parents=True, exist_ok=True)
    written, document = write_arkit(animation, folder, name)
    document.unlink()
    table = written.rename(folder / f"{name}.csv")
    if with_sound:
        soundfile.write(folder / f"{name}.wav", spoken.samples, spoken.samplerate, subtype="PCM_16")
    return table


def changed(table: Path, change: Callable[[Rows], Rows]) -> Path:
    """Rewrites a table; `change` takes and returns its rows, the header first."""
    with table.open(newline="") as handle:
        rows = change(list(csv.reader(handle)))
    with table.open("w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(rows)
    return table
