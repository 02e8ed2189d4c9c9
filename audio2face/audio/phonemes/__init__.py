"""Which phone sounds when in a recording: sets of phones, tables over time, and the recogniser that needs no network.

Knows recordings and seconds. Knows nothing of shots, clips or frames of animation. Recognisers that are networks stand
in `audio2face.networks.phonemes`.
"""

from audio2face.audio.phonemes.detector import SAMPLE_RATE, Detector
from audio2face.audio.phonemes.phone_set import ENGLISH, SILENCE, PhoneSet, phones_of, plain_symbol
from audio2face.audio.phonemes.rows import RATE, WINDOW_ROWS, Span, row_count, rows_of_spans, to_rate, window_rows
from audio2face.audio.phonemes.sphinx import PocketSphinx

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
    "row_count",
    "rows_of_spans",
    "to_rate",
    "window_rows",
]
