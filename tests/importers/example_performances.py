"""A sentence of the example actor, with the motion that its rules give, once for all tests of a process."""

from __future__ import annotations

from functools import cache

import numpy as np
from live_link_takes import Spoken

from audio2face.example.expression import FPS, add_performance
from audio2face.example.head import Head
from audio2face.example.recording import all_takes
from audio2face.example.speech import SAMPLE_RATE, VOICES, Speaker


@cache
def performed() -> Spoken:
    """The second sentence, which ada speaks with joy; the sound begins at the middle of the first frame."""
    take = all_takes()[1]
    utterance = Speaker().synthesise(take.sentence, VOICES["ada"], take.seed)
    motion = add_performance(utterance, take.sentence.emotion, Head.open("ada"), np.random.default_rng([take.seed, 0]))
    return Spoken(motion.weights, motion.eye_rotations, utterance.samples[round(SAMPLE_RATE / FPS / 2) :], SAMPLE_RATE)
