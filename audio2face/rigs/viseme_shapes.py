"""Rigs whose mouth has visemes, whole shapes for groups of sounds, in place of ARKit's shapes.

Two sets are known: those of the Oculus lip sync, which many avatars have (`viseme_PP`, `v_pp`), and the five vowels of
VRM and older characters (`aa`, `ih`, `ou`, `ee`, `oh`; `A`, `I`, `U`, `E`, `O`). The example's rules for its sound tell
what a viseme looks like; the weights are those whose mixture is nearest to the wanted face, none below zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, match_names
from audio2face.example.visemes import SHAPES_OF, visemes_of
from audio2face.types import Float32Array, Float64Array

_OCULUS = {
    "PP": "p", "FF": "f", "TH": "θ", "DD": "t", "kk": "k", "CH": "ʧ", "SS": "s", "nn": "n", "RR": "ɹ", "aa": "ɑ",
    "E": "ɛ", "I": "i", "ih": "i", "O": "ɔ", "oh": "ɔ", "U": "u", "ou": "u",
}  # fmt: skip
_VOWELS = {"A": "ɑ", "I": "i", "U": "u", "E": "ɛ", "O": "ɔ"}
# Names of shapes and the sounds that they show, the most telling names first.
_SOUNDS: tuple[Mapping[str, str], ...] = (
    {f"viseme{name}": sound for name, sound in _OCULUS.items()},
    {f"v{name}": sound for name, sound in _OCULUS.items()},
    {"aa": "ɑ", "ih": "i", "ou": "u", "ee": "ɛ", "oh": "ɔ"},
    {f"MTH{name}": sound for name, sound in _VOWELS.items()},
    _VOWELS,
)
_OPEN = "ɑ"
_FEWEST = 5  # names by chance are fewer
_MOUTH = [index for name, index in ARKIT_INDEX.items() if name.startswith(("jaw", "mouth"))]
_SMALLNESS = 0.01  # cost of weights: of two mixtures that look alike the smaller one
_ROUNDS = 40


@dataclass(frozen=True, eq=False)
class VisemeSet:
    """The visemes of a rig.

    Attributes:
        poses: its names of them.
        targets: weights of ARKit's shapes that look like each, `[visemes, 52]`.
        opening: which of them opens the jaw furthest.
    """

    poses: tuple[str, ...]
    targets: Float64Array
    opening: int

    def mix(self, weights: Float32Array) -> Float32Array:
        """Weights of ARKit's shapes `[frames, 52]` as weights of the visemes `[frames, visemes]`, 0 to 1.

        Solves for the nearest mixture by coordinate descent, which keeps each weight at 0 or above.
        """
        looks = self.targets[:, _MOUTH]
        gram = looks @ looks.T + _SMALLNESS * np.eye(len(looks))
        wanted = np.asarray(weights[:, _MOUTH], np.float64) @ looks.T
        mixed = np.zeros_like(wanted)
        for _ in range(_ROUNDS):
            for index in range(len(looks)):
                rest = wanted[:, index] - mixed @ gram[index] + mixed[:, index] * gram[index, index]
                mixed[:, index] = np.maximum(rest / gram[index, index], 0)
        return np.asarray(np.minimum(mixed, 1), np.float32)


def find_visemes(names: Sequence[str]) -> VisemeSet | None:
    """Finds the visemes among the shapes of a rig; None where it has none of the known sets."""
    for sounds in _SOUNDS:
        columns = match_names(names, tuple(sounds)).columns
        spoken = {name: sounds[name] for name in columns}
        if len(columns) >= _FEWEST and _OPEN in spoken.values():
            targets = np.stack([_look(sound) for sound in spoken.values()])
            return VisemeSet(
                tuple(names[columns[name]] for name in spoken), targets, list(spoken.values()).index(_OPEN)
            )
    return None


def _look(sound: str) -> Float64Array:
    """Weights of ARKit's shapes, `[52]`, in the last viseme of a sound."""
    look = np.zeros(len(ARKIT_NAMES))
    for channel, value in visemes_of(sound)[-1].targets.items():
        for shape in SHAPES_OF[channel]:
            if shape in ARKIT_INDEX:
                look[ARKIT_INDEX[shape]] = value
    return look
