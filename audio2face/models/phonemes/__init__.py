"""Phoneme recognition: phone sets, phone probabilities over time, and the recognisers.

Everything here is in seconds and rows of a recording. Recognisers that are neural networks are imported through
`audio2face.models.phonemes.recognisers`.
"""

from audio2face.models.phonemes.phone_set import (
    ENGLISH,
    RATE,
    SAMPLE_RATE,
    SILENCE,
    WINDOW_ROWS,
    Detector,
    PhoneSet,
    Span,
    phones_of,
    plain_symbol,
    resample_rows,
    row_count,
    spans_to_rows,
    window_rows,
)
from audio2face.models.phonemes.pocketsphinx import PocketSphinx

__all__ = [
    "ENGLISH",
    "RATE",
    "SAMPLE_RATE",
    "SILENCE",
    "WINDOW_ROWS",
    "Detector",
    "PhoneSet",
    "PocketSphinx",
    "Span",
    "phones_of",
    "plain_symbol",
    "resample_rows",
    "row_count",
    "spans_to_rows",
    "window_rows",
]
