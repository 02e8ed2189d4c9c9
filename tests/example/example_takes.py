"""Every sentence of the example spoken once, for all tests of one process."""

from __future__ import annotations

from functools import cache

from audio2face.example.recording import all_takes
from audio2face.example.speech import VOICES, Speaker, Utterance


@cache
def spoken_by_ada() -> list[Utterance]:
    """In the order of `all_takes`."""
    speaker = Speaker()
    return [speaker.synthesise(take.sentence, VOICES["ada"], take.seed) for take in all_takes()]
