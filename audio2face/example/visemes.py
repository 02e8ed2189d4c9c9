"""Visemes: the targets of jaw, lips and tongue for each phone, and their blending over time (coarticulation).

Weights are those of the ARKit shapes and of the tongue's shapes in plain neutral speech. Curves have one value at the
centre of each frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_INDEX, TONGUE_NAMES
from audio2face.example.sentences import SILENCE, Phone
from audio2face.geometry.frames import recorded_times
from audio2face.types import Float64Array

Curves = Float64Array

BILABIALS = frozenset("pbm")
LABIODENTALS = frozenset("fv")

SHAPES_OF: dict[str, tuple[str, ...]] = {
    "jaw": ("jawOpen",),
    "jaw_forward": ("jawForward",),
    "lower": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "upper": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "funnel": ("mouthFunnel",),
    "pucker": ("mouthPucker",),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "stretch": ("mouthStretchLeft", "mouthStretchRight"),
    "dimple": ("mouthDimpleLeft", "mouthDimpleRight"),
    "press": ("mouthPressLeft", "mouthPressRight"),
    "roll_lower": ("mouthRollLower",),
    "roll_upper": ("mouthRollUpper",),
    "shrug_lower": ("mouthShrugLower",),
    "tongue_out": ("tongueOut",),
    "tip_up": ("tongueTipUp",),
    "tip_down": ("tongueTipDown",),
    "curl": ("tongueRollUp",),
    "up": ("tongueUp",),
    "down": ("tongueDown",),
    "back": ("tongueIn",),
    "long": ("tongueStretch",),
    "wide": ("tongueWide",),
    "narrow": ("tongueNarrow",),
}
"""Shapes driven by one channel of a viseme, all with the same weight."""

CHANNELS: tuple[str, ...] = tuple(SHAPES_OF)


@dataclass(frozen=True)
class Articulator:
    """A group of channels that move together.

    Attributes:
        channels: names from `CHANNELS`.
        before: decay rate of a phone's influence before it, per second: small for early anticipation.
        after: decay rate after it, per second.
        smoothing: standard deviation of the smoothing by inertia, in seconds.
    """

    channels: tuple[str, ...]
    before: float
    after: float
    smoothing: float


ARTICULATORS: dict[str, Articulator] = {
    "jaw": Articulator(("jaw", "jaw_forward"), before=20.0, after=18.0, smoothing=0.028),
    "rounding": Articulator(("funnel", "pucker"), before=14.0, after=20.0, smoothing=0.022),
    "lips": Articulator(
        ("lower", "upper", "smile", "stretch", "dimple", "press", "roll_lower", "roll_upper", "shrug_lower"),
        before=24.0,
        after=24.0,
        smoothing=0.018,
    ),
    "tip": Articulator(
        ("tongue_out", "tip_up", "tip_down", "curl", "long", "narrow"), before=34.0, after=36.0, smoothing=0.012
    ),
    "body": Articulator(("up", "down", "back", "wide"), before=22.0, after=22.0, smoothing=0.02),
}


@dataclass(frozen=True)
class Viseme:
    """Targets of one phone.

    Attributes:
        targets: weight per channel; channels without one have the target 0.
        insistence: per articulator, the weight of the phone's targets against its neighbours' (0 to 1).
    """

    targets: Mapping[str, float]
    insistence: Mapping[str, float]


_VOWEL = {"jaw": 0.7, "rounding": 0.6, "lips": 0.6, "tip": 0.25, "body": 0.5}
_REDUCED = {"jaw": 0.35, "rounding": 0.25, "lips": 0.25, "tip": 0.1, "body": 0.15}
_TIP = {"jaw": 0.5, "rounding": 0.12, "lips": 0.25, "tip": 1.0, "body": 0.3}
_BODY = {"jaw": 0.35, "rounding": 0.1, "lips": 0.15, "tip": 0.2, "body": 1.0}
_LIPS = {"jaw": 0.9, "rounding": 0.3, "lips": 1.0, "tip": 0.05, "body": 0.1}
_ROUND = {"jaw": 0.5, "rounding": 1.0, "lips": 0.6, "tip": 0.3, "body": 0.6}
_SIBILANT = {"jaw": 0.95, "rounding": 0.12, "lips": 0.6, "tip": 0.9, "body": 0.3}

_REST = Viseme({"jaw": 0.012}, {"jaw": 0.45, "rounding": 0.4, "lips": 0.4, "tip": 0.3, "body": 0.3})
_SHUT = Viseme({"jaw": 0.04, "press": 0.22, "roll_lower": 0.1, "roll_upper": 0.08, "shrug_lower": 0.05}, _LIPS)
_BITE = Viseme({"jaw": 0.035, "roll_lower": 0.95, "shrug_lower": 0.2, "upper": 0.42}, _LIPS)
_STOP = Viseme({"jaw": 0.07, "lower": 0.12, "tip_up": 0.9}, _TIP)
_HISS = Viseme(
    {"jaw": 0.035, "jaw_forward": 0.12, "lower": 0.26, "upper": 0.21, "stretch": 0.2, "tip_up": 0.45}, _SIBILANT
)
_HUSH = Viseme(
    {
        "jaw": 0.05,
        "jaw_forward": 0.15,
        "funnel": 0.5,
        "pucker": 0.15,
        "lower": 0.15,
        "upper": 0.21,
        "tip_up": 0.4,
        "up": 0.4,
    },
    _SIBILANT | {"rounding": 0.9},
)
_HUSH_ONSET = Viseme({"jaw": 0.05, "funnel": 0.35, "tip_up": 0.85}, _SIBILANT | {"rounding": 0.5})
_DENTAL = Viseme({"jaw": 0.1, "lower": 0.16, "upper": 0.21, "long": 0.55, "tip_up": 0.18, "tongue_out": 0.12}, _TIP)
_VELAR = Viseme({"jaw": 0.09, "up": 0.75, "back": 0.4}, _BODY)

_AH = Viseme({"jaw": 0.34, "lower": 0.2, "upper": 0.21, "down": 0.35, "back": 0.2}, _VOWEL)
_AE = Viseme({"jaw": 0.31, "stretch": 0.24, "lower": 0.26, "upper": 0.34, "down": 0.25, "wide": 0.25}, _VOWEL)
_EH = Viseme({"jaw": 0.22, "stretch": 0.16, "lower": 0.22, "upper": 0.21, "up": 0.15, "wide": 0.2}, _VOWEL)
_UH = Viseme({"jaw": 0.23, "lower": 0.16, "upper": 0.13, "down": 0.15}, _VOWEL)
_IH = Viseme({"jaw": 0.11, "stretch": 0.2, "smile": 0.08, "lower": 0.2, "upper": 0.17, "up": 0.4, "wide": 0.25}, _VOWEL)
_EE = Viseme(
    {"jaw": 0.075, "smile": 0.22, "stretch": 0.26, "lower": 0.22, "upper": 0.21, "up": 0.55, "wide": 0.4}, _VOWEL
)
_AW = Viseme(
    {"jaw": 0.25, "funnel": 0.45, "pucker": 0.12, "lower": 0.12, "down": 0.2, "back": 0.4}, _VOWEL | {"rounding": 0.9}
)
_OU = Viseme(
    {"jaw": 0.09, "funnel": 0.3, "pucker": 0.3, "lower": 0.08, "up": 0.3, "back": 0.35}, _VOWEL | {"rounding": 0.8}
)
_OO = Viseme({"jaw": 0.06, "pucker": 0.75, "funnel": 0.2, "up": 0.4, "back": 0.5}, _VOWEL | {"rounding": 1.0})
_ER = Viseme({"jaw": 0.13, "funnel": 0.25, "pucker": 0.12, "lower": 0.1, "curl": 0.35, "back": 0.3}, _VOWEL)
_R = Viseme(
    {"jaw": 0.09, "funnel": 0.3, "pucker": 0.22, "curl": 0.45, "back": 0.45}, _ROUND | {"rounding": 0.6, "tip": 0.7}
)
_W = Viseme({"jaw": 0.05, "pucker": 0.85, "funnel": 0.15, "back": 0.45, "up": 0.3}, _ROUND)
_J = Viseme({"jaw": 0.06, "stretch": 0.18, "smile": 0.1, "lower": 0.12, "up": 0.65, "wide": 0.3}, _BODY | {"lips": 0.3})

# A diphthong or an affricate moves from the first viseme to the second.
_VISEMES: dict[str, tuple[Viseme, ...]] = {
    SILENCE: (_REST,),
    **dict.fromkeys(BILABIALS, (_SHUT,)),
    **dict.fromkeys(LABIODENTALS, (_BITE,)),
    **dict.fromkeys("td", (_STOP,)),
    "n": (Viseme({"jaw": 0.09, "lower": 0.12, "tip_up": 0.85}, _TIP),),
    "ɾ": (Viseme({"jaw": 0.1, "tip_up": 0.75}, _TIP | {"jaw": 0.3}),),
    "l": (Viseme({"jaw": 0.14, "lower": 0.14, "upper": 0.13, "tip_up": 0.95, "narrow": 0.4}, _TIP),),
    **dict.fromkeys("sz", (_HISS,)),
    **dict.fromkeys("ʃʒ", (_HUSH,)),
    **dict.fromkeys("ʧʤ", (_HUSH_ONSET, _HUSH)),
    **dict.fromkeys("θð", (_DENTAL,)),
    **dict.fromkeys("kɡŋ", (_VELAR,)),
    "h": (Viseme({"jaw": 0.12}, dict.fromkeys(ARTICULATORS, 0.1)),),
    "ɹ": (_R,),
    "w": (_W,),
    "j": (_J,),
    "i": (_EE,),
    "ɪ": (_IH,),
    "ɛ": (_EH,),
    "æ": (_AE,),
    "ɑ": (_AH,),
    "ʌ": (_UH,),
    "ɔ": (_AW,),
    "ʊ": (_OU,),
    "u": (_OO,),
    "ə": (Viseme({"jaw": 0.11, "lower": 0.1}, _REDUCED),),
    "ɐ": (Viseme({"jaw": 0.14, "lower": 0.1}, _REDUCED),),
    "ɜ": (_ER,),
    "eɪ": (_EH, _EE),
    "aɪ": (_AH, _IH),
    "aʊ": (_AH, _OU),
    "oʊ": (_AW, _OO),
    "ɔɪ": (_AW, _IH),
}


def visemes_of(symbol: str) -> tuple[Viseme, ...]:
    """Returns the visemes of an IPA phone or of `SILENCE`, in order."""
    return _VISEMES[symbol]


def known_phones() -> frozenset[str]:
    """Returns every phone that has visemes."""
    return frozenset(_VISEMES)


_SUBSTEPS = 4  # curves are computed at this multiple of the frame rate, so that inertia acts before sampling
_VOWELS = frozenset("iɪɛæɑʌɔʊuəɐɜ") | {"eɪ", "aɪ", "aʊ", "oʊ", "ɔɪ"}
_STRESSED, _UNSTRESSED = 1.12, 0.9  # factors on a vowel's targets
# Channels of contacts: louder speech does not make a contact firmer.
_CONTACTS = frozenset(("press", "roll_lower", "roll_upper", "tongue_out", "tip_up", "long", "up", "back", "curl"))


@dataclass(frozen=True)
class _TimedViseme:
    """One viseme in time: its targets are approached between `start` and `end` (seconds)."""

    viseme: Viseme
    start: float
    end: float
    size: float  # factor on the targets


def articulate(phones: Sequence[Phone], num_frames: int, fps: float, effort: float = 1.0) -> tuple[Curves, Curves]:
    """Computes weights of the shapes for speech, sampled at frame centres `(i + 0.5) / fps`.

    Args:
        phones: without gaps.
        num_frames: number of frames.
        fps: frames per second.
        effort: factor on the size of open and spread shapes: above 1 for loud or careful speech.

    Returns:
        Weights of the skin's shapes `[frames, 52]` and of the tongue's `[frames, 16]`, in [0, 1].
    """
    times = np.arange(num_frames * _SUBSTEPS) / (fps * _SUBSTEPS)
    centres = slice(_SUBSTEPS // 2, None, _SUBSTEPS)
    pulls = _timed_visemes(phones)
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


def _timed_visemes(phones: Sequence[Phone]) -> list[_TimedViseme]:
    pulls = []
    for phone in phones:
        visemes = visemes_of(phone.symbol)
        edges = np.linspace(phone.start, phone.end, len(visemes) + 1)
        size = (_STRESSED if phone.stressed else _UNSTRESSED) if phone.symbol in _VOWELS else 1.0
        for viseme, start, end in zip(visemes, edges, edges[1:], strict=False):
            pulls.append(_TimedViseme(viseme, float(start), float(end), size))
    return pulls


def _dominance(pulls: Sequence[_TimedViseme], name: str, articulator: Articulator, times: Curves) -> Curves:
    """Returns the share of each pull in an articulator's position, `[pulls, times]`; shares sum to 1."""
    middles = np.array([(3 * pull.start + pull.end, pull.start + 3 * pull.end) for pull in pulls]) / 4
    insistence = np.array([pull.viseme.insistence[name] for pull in pulls])
    ahead = np.maximum(middles[:, :1] - times, 0.0)
    behind = np.maximum(times - middles[:, 1:], 0.0)
    # Exponents relative to the strongest pull, so that a long silence far from every other phone does not underflow.
    exponent = np.log(insistence)[:, None] - articulator.before * ahead - articulator.after * behind
    dominance: Curves = np.exp(exponent - exponent.max(axis=0))
    dominance /= dominance.sum(axis=0)
    return dominance


def frame_centres(num_frames: int, fps: float) -> Curves:
    """Returns the times in seconds at which frames are sampled, `[frames]`: (i + 0.5) / fps."""
    return recorded_times(np.arange(num_frames), fps)


def ease(share: Curves) -> Curves:
    """Returns a smooth step: 0 where `share` is below 0, 1 where it is above 1."""
    share = np.clip(share, 0.0, 1.0)
    eased: Curves = share**2 * (3 - 2 * share)
    return eased
