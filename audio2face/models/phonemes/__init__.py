"""Which phone sounds when in a recording: sets of phones, tables over time, and the recogniser that needs no network.

Knows recordings and seconds. Knows nothing of shots, clips or frames of animation. Recognisers that are networks stand
in `audio2face.models.phonemes.registry`.
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
