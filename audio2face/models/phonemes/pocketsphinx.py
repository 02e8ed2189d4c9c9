"""PocketSphinx: English phones from a recogniser whose model comes in its Python package, so it works offline.

With a transcript it aligns the words to the audio; without, it recognises phones, which is less accurate. On the 44
recordings of the example actor, whose phone times are known, 80 % of all rows of 20 ms are correct with a transcript
and 64 % without; the median error of a phone's start is 15 and 19 ms.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import numpy as np

from audio2face.audio.track import QUIET_PEAK
from audio2face.console import LOGGER
from audio2face.models.phonemes.phone_set import ENGLISH, SAMPLE_RATE, Span, plain_symbol, spans_to_rows
from audio2face.types import Float32Array

NAME = "pocketsphinx"
_FRAME_SECONDS = 0.01
# A frame describes the middle of its window of 25.6 ms, and lasts 10 ms around it.
_FIRST_SECONDS = 0.0256 / 2 - _FRAME_SECONDS / 2
_PEAK = 0.7  # level of the recogniser's input
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
# With bestpath the second pass of an alignment fails in some utterances.
_ALIGNMENT_CONFIG = {"bestpath": False, "beam": 1e-100, "pbeam": 1e-100, "wbeam": 1e-80}
_RECOGNITION_CONFIG = {"lw": 2.0, "pip": 0.3, "beam": 1e-20, "pbeam": 1e-20}


class PocketSphinx:
    """A `Detector` that aligns a transcript, or recognises phones where there is none."""

    def __init__(self) -> None:
        self.phones = ENGLISH
        self.identity = f"{NAME} {version('pocketsphinx')}"

    def detect(self, samples: Float32Array, text: str | None) -> Float32Array:
        """Computes phone probabilities `[rows, phones]`.

        Words missing in the dictionary are skipped; text that cannot be aligned is ignored.
        """
        spans: list[Span] = []
        if np.abs(samples).max(initial=0) > QUIET_PEAK:  # it recognises phones in digital silence
            pcm = _pcm(samples)
            spans = self._align(pcm, text) if text is not None else []
            spans = spans or self._recognise(pcm)
        return spans_to_rows(spans, len(samples) / SAMPLE_RATE, ENGLISH)

    def _align(self, pcm: bytes, text: str) -> list[Span]:
        """Aligns the words and returns their phones; empty where alignment fails."""
        decoder = _decoder(**_ALIGNMENT_CONFIG)
        words = _WORD.findall(text.lower().replace("’", "'"))
        in_dictionary = [word for word in words if decoder.lookup_word(word) is not None]
        if len(in_dictionary) < len(words):
            missing = ", ".join(sorted(set(words) - set(in_dictionary)))
            LOGGER.warning("%s: these words are missing in the dictionary and skipped: %s", NAME, missing)
        if not in_dictionary:
            return []
        try:
            decoder.set_align_text(" ".join(in_dictionary))
            _decode(decoder, pcm)
            decoder.set_alignment()
            _decode(decoder, pcm)
            phones = [phone for word in decoder.get_alignment() for phone in word]
        except RuntimeError:
            LOGGER.warning("%s: the text does not fit the recording and is ignored: %.60s", NAME, text)
            return []
        return [_span(phone.name, phone.start, phone.start + phone.duration) for phone in phones]

    def _recognise(self, pcm: bytes) -> list[Span]:
        from pocketsphinx import get_model_path

        decoder = _decoder(allphone=get_model_path("en-us/en-us-phone.lm.bin"), **_RECOGNITION_CONFIG)
        _decode(decoder, pcm)
        return [_span(found.word, found.start_frame, found.end_frame + 1) for found in decoder.seg() or ()]


def _decoder(**settings: Any) -> Any:
    """Makes a decoder for one recording; since it adapts to the audio, reuse would change the next one's results."""
    from pocketsphinx import Config, Decoder

    return Decoder(Config(lm=None, loglevel="FATAL", **settings))


def _decode(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _span(symbol: str, first: int, end: int) -> Span:
    """Makes the span of a phone over the frames [first, end)."""
    start = 0.0 if first == 0 else first * _FRAME_SECONDS + _FIRST_SECONDS
    return Span(plain_symbol(symbol, "en"), start, end * _FRAME_SECONDS + _FIRST_SECONDS)


def _pcm(samples: Float32Array) -> bytes:
    """Converts to 16-bit samples at a level that preserves the detail of quiet recordings."""
    scaled = samples * (_PEAK / float(np.abs(samples).max()))
    return (scaled * 32767).astype("<i2").tobytes()
