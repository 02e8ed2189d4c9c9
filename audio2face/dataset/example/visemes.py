"""What each phone asks of jaw, lips and tongue: the table behind the example's motion.

Knows phones and muscles, not time: `coarticulation` blends these targets. Weights are those of the ARKit shapes and of
the tongue's shapes at plain neutral speech.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audio2face.dataset.example.phones import SILENCE

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
"""Shapes that one channel of a viseme drives, the same weight on all."""

CHANNELS: tuple[str, ...] = tuple(SHAPES_OF)


@dataclass(frozen=True)
class Articulator:
    """A group of channels that move alike.

    Attributes:
        channels: names from `CHANNELS`.
        before: how fast a phone's influence fades ahead of it, per second: small where it is prepared early.
        after: the same behind it.
        smoothing: standard deviation in seconds of what inertia blurs.
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
    """What one phone asks for.

    Attributes:
        targets: weight per channel; a channel without one is asked to rest.
        insistence: per articulator, how much the phone insists on its targets against its neighbours' (0 to 1).
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

# A diphthong moves from the first viseme to the second, an affricate likewise.
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
    """The visemes of an IPA phone or of `SILENCE`, one after the other."""
    return _VISEMES[symbol]


def known_phones() -> frozenset[str]:
    """Every phone that has visemes."""
    return frozenset(_VISEMES)
