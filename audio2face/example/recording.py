"""Creates the files of one sentence: audio, caches of skin and tongue, and phone times, in the layout of a raw dataset.

Defines the sentences of each actor, the names of shots and the formats of files. `make` runs it over all sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from audio2face.example.contact import flesh_deltas
from audio2face.example.expression import FPS, add_performance
from audio2face.example.head import IDENTITIES, Head
from audio2face.example.sentences import SENTENCES, UNSEEN_SENTENCES, Phone, Sentence
from audio2face.example.speech import SAMPLE_RATE, VOICES, Speaker
from audio2face.geometry import CACHE_EXTENSIONS, write_cache
from audio2face.io.atomic import atomic_write, write_text
from audio2face.types import Float32Array

UNSEEN_FOLDER = "unseen"

# Number of sentences of each actor, from the first: a dataset of 3 minutes, and a smaller one for multi-actor training.
_NUM_SENTENCES = {"ada": len(SENTENCES), "ben": 18}
# Sample rates, channels and cache formats alternate between shots, so that a pipeline is tested with all of them.
_AUDIO_FORMS = ((24_000, 1), (16_000, 1), (48_000, 1), (24_000, 1), (44_100, 1), (16_000, 1), (24_000, 2))
_STEREO_BALANCE = (1.0, 0.8)
_UNSEEN_SEED = 1000


@dataclass(frozen=True)
class Take:
    """A sentence to record: the `number`-th, from 1, of the training sentences or of the unseen ones."""

    number: int
    sentence: Sentence
    unseen: bool

    def shot(self, actor: str) -> str:
        """Returns the name of the shot, which contains the emotion."""
        return f"{actor}_{'u' if self.unseen else 's'}{self.number:02d}_{self.sentence.emotion}"

    def is_spoken_by(self, actor: str) -> bool:
        """Returns whether the actor speaks it."""
        return self.unseen or self.number <= _NUM_SENTENCES[actor]

    @property
    def seed(self) -> int:
        """Seed of all random numbers of the take."""
        return self.number + _UNSEEN_SEED * self.unseen


@dataclass(frozen=True)
class JawMotion:
    """Motion of a shot that is stored in one file for all shots.

    Attributes:
        actor: name of the actor.
        shot: name of the shot.
        unseen: whether it is excluded from training.
        jaw_deltas: `[frames, 5, 3]` float32 centimetres.
        eye_rotations: `[frames, 2, 2]` float32 degrees.
    """

    actor: str
    shot: str
    unseen: bool
    jaw_deltas: Float32Array
    eye_rotations: Float32Array


def all_takes() -> list[Take]:
    """Returns all takes, unseen ones last."""
    seen = [Take(number, sentence, False) for number, sentence in enumerate(SENTENCES, 1)]
    return seen + [Take(number, sentence, True) for number, sentence in enumerate(UNSEEN_SENTENCES, 1)]


def write_recording(take: Take, actor: str, folder: Path) -> JawMotion:
    """Synthesises one sentence and its performance, and writes its files.

    Args:
        take: the sentence to record.
        actor: the speaking actor.
        folder: folder of the actor.

    Raises:
        UserError: a file cannot be written.
    """
    head, shot = _head(actor), take.shot(actor)
    folder = folder / UNSEEN_FOLDER if take.unseen else folder
    utterance = _speaker().synthesise(take.sentence, VOICES[actor], take.seed)
    rng = np.random.default_rng([take.seed, IDENTITIES.index(actor)])
    performance = add_performance(utterance, take.sentence.emotion, head, rng)
    weights = performance.weights
    _write_audio(folder / "audio" / f"{shot}.wav", utterance.samples, *_AUDIO_FORMS[take.number % len(_AUDIO_FORMS)])
    _write_phones(folder / "phonemes" / f"{shot}.txt", utterance.phones)
    meshes = {
        "skin": head.skin(weights) + flesh_deltas(head, weights, FPS, rng),
        "tongue": head.tongue(weights, performance.tongue_weights),
    }
    extension = CACHE_EXTENSIONS[take.number % len(CACHE_EXTENSIONS)]
    for mesh, frames in meshes.items():
        path = folder / "cache" / mesh / shot / f"{shot}{extension}"
        write_cache(path, frames, fps=FPS, channel=f"{mesh}_meshShape")
    return JawMotion(actor, shot, take.unseen, head.jaw_keypoint_deltas(weights), performance.eye_rotations)


@cache
def _speaker() -> Speaker:
    """Returns the voice model, loaded once per process."""
    return Speaker()


@cache
def _head(actor: str) -> Head:
    return Head.open(actor)


def _write_audio(path: Path, samples: Float32Array, rate: int, channels: int) -> None:
    """Writes a 16-bit WAV at the given rate."""
    common = np.gcd(rate, SAMPLE_RATE)
    resampled = samples if rate == SAMPLE_RATE else signal.resample_poly(samples, rate // common, SAMPLE_RATE // common)
    sound = resampled[:, None] * np.array(_STEREO_BALANCE[:channels], np.float32)
    with atomic_write(path) as handle:
        soundfile.write(handle, sound, rate, format="WAV", subtype="PCM_16")


def _write_phones(path: Path, phones: tuple[Phone, ...]) -> None:
    rows = [f"{phone.start:.6f}\t{phone.end:.6f}\t{phone.symbol}\n" for phone in phones]
    write_text(path, "start\tend\tphone\n" + "".join(rows))
