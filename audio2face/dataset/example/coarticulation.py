"""From phones with times to the curves of jaw, lips and tongue.

Each phone pulls every articulator towards its target with a strength that fades in time before and behind it; where
the articulator is, is the mean of all targets weighted by these strengths. These are the dominance functions of Cohen
and Massaro 1993 ("Modeling coarticulation in synthetic visual speech"), with one change: a phone's dominance is
constant over its middle half and fades from there, so that long vowels hold. Inertia then blurs each articulator by
its own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from audio2face.dataset.example.curves import Curves
from audio2face.dataset.example.phones import Phone
from audio2face.dataset.example.shapes import ARKIT_INDEX, ARKIT_NAMES, TONGUE_INDEX, TONGUE_NAMES
from audio2face.dataset.example.visemes import ARTICULATORS, SHAPES_OF, Articulator, Viseme, visemes_of

_SUBSTEPS = 4  # curves are made at this multiple of the frame rate, so that inertia acts before sampling
_VOWELS = frozenset("iɪɛæɑʌɔʊuəɐɜ") | {"eɪ", "aɪ", "aʊ", "oʊ", "ɔɪ"}
_STRESSED, _UNSTRESSED = 1.12, 0.9  # factors on a vowel's targets
# Channels that touch: speaking up does not make a contact firmer.
_CONTACTS = frozenset(("press", "roll_lower", "roll_upper", "tongue_out", "tip_up", "long", "up", "back", "curl"))


@dataclass(frozen=True)
class _Pull:
    """One viseme in time: its targets are approached between `start` and `end` (seconds)."""

    viseme: Viseme
    start: float
    end: float
    size: float  # factor on the targets


def articulate(phones: Sequence[Phone], num_frames: int, fps: float, effort: float = 1.0) -> tuple[Curves, Curves]:
    """Weights of the shapes that speech moves, sampled at frame centres `(i + 0.5) / fps`.

    Args:
        phones: without gaps.
        num_frames: how many frames.
        fps: frames per second.
        effort: factor on the size of open and spread shapes: above 1 for loud or careful speech.

    Returns:
        Weights of the skin's shapes `[frames, 52]` and of the tongue's `[frames, 16]`, in [0, 1].
    """
    times = np.arange(num_frames * _SUBSTEPS) / (fps * _SUBSTEPS)
    centres = slice(_SUBSTEPS // 2, None, _SUBSTEPS)
    pulls = _pulls(phones)
    skin = np.zeros((num_frames, len(ARKIT_NAMES)))
    tongue = np.zeros((num_frames, len(TONGUE_NAMES)))
    for name, articulator in ARTICULATORS.items():
        dominance = _dominance(pulls, name, articulator, times)
        for channel in articulator.channels:
            factor = 1.0 if channel in _CONTACTS else effort
            targets = np.array([pull.size * factor * pull.viseme.targets.get(channel, 0.0) for pull in pulls])
            curve = ndimage.gaussian_filter1d(
                targets @ dominance, articulator.smoothing * fps * _SUBSTEPS, mode="nearest"
            )
            for shape in SHAPES_OF[channel]:
                if shape in ARKIT_INDEX:
                    skin[:, ARKIT_INDEX[shape]] += curve[centres]
                else:
                    tongue[:, TONGUE_INDEX[shape]] += curve[centres]
    return np.clip(skin, 0.0, 1.0), np.clip(tongue, 0.0, 1.0)


def _pulls(phones: Sequence[Phone]) -> list[_Pull]:
    pulls = []
    for phone in phones:
        visemes = visemes_of(phone.symbol)
        edges = np.linspace(phone.start, phone.end, len(visemes) + 1)
        size = (_STRESSED if phone.stressed else _UNSTRESSED) if phone.symbol in _VOWELS else 1.0
        for viseme, start, end in zip(visemes, edges, edges[1:], strict=False):
            pulls.append(_Pull(viseme, float(start), float(end), size))
    return pulls


def _dominance(pulls: Sequence[_Pull], name: str, articulator: Articulator, times: Curves) -> Curves:
    """Share of each pull in an articulator's place, `[pulls, times]`; the shares of all pulls sum to 1."""
    middles = np.array([(3 * pull.start + pull.end, pull.start + 3 * pull.end) for pull in pulls]) / 4
    insistence = np.array([pull.viseme.insistence[name] for pull in pulls])
    ahead = np.maximum(middles[:, :1] - times, 0.0)
    behind = np.maximum(times - middles[:, 1:], 0.0)
    # Exponents relative to the strongest pull, so that a long silence far from every other phone does not underflow.
    exponent = np.log(insistence)[:, None] - articulator.before * ahead - articulator.after * behind
    dominance: Curves = np.exp(exponent - exponent.max(axis=0))
    dominance /= dominance.sum(axis=0)
    return dominance
