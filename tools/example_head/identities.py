"""The two people: which identity targets make their faces, and the colours of their skin, hair and eyes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tools.example_head.source import Points, Source

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Identity:
    """A recipe for a face.

    Attributes:
        sex: `female` or `male`.
        age: 0 is about 25 years, 1 is old.
        ancestry: shares of the base mesh's three ancestry targets, together 1.
        details: strength of each further identity target; `{side}` stands for both sides.
        skin, lips, hair, iris: colours, sRGB.
    """

    sex: str
    age: float
    ancestry: Mapping[str, float]
    details: Mapping[str, float]
    skin: Colour
    lips: Colour
    hair: Colour
    iris: Colour

    def neutral(self, source: Source) -> Points:
        """Vertices `[verts, 3]` of the whole base mesh with this face, centimetres."""
        vertices = source.vertices.copy()
        for age, share in (("young", 1 - self.age), ("old", self.age)):
            body = f"macrodetails/universal-{self.sex}-{age}-averagemuscle-averageweight"
            vertices += share * source.identity_target(body)
            for ancestry, part in self.ancestry.items():
                vertices += share * part * source.identity_target(f"macrodetails/{ancestry}-{self.sex}-{age}")
        for name, strength in self.details.items():
            for side in "lr" if "{side}" in name else "-":
                vertices += strength * source.identity_target(name.format(side=side))
        return vertices


IDENTITIES: Mapping[str, Identity] = MappingProxyType(
    {
        "ada": Identity(
            sex="female",
            age=0.08,
            ancestry={"caucasian": 0.6, "asian": 0.25, "african": 0.15},
            details={
                "head/head-oval": 0.5,
                "head/head-age-decr": 0.3,
                "chin/chin-width-decr": 0.3,
                "mouth/mouth-upperlip-volume-incr": 0.35,
                "mouth/mouth-lowerlip-volume-incr": 0.3,
                "nose/nose-scale-horiz-decr": 0.3,
                "nose/nose-volume-decr": 0.2,
                "cheek/{side}-cheek-bones-incr": 0.3,
            },
            skin=(226, 178, 152),
            lips=(190, 104, 98),
            hair=(58, 38, 28),
            iris=(92, 64, 36),
        ),
        "ben": Identity(
            sex="male",
            age=0.25,
            ancestry={"caucasian": 0.75, "african": 0.15, "asian": 0.1},
            details={
                "head/head-square": 0.25,
                "chin/chin-width-incr": 0.25,
                "chin/chin-prominent-incr": 0.2,
                "nose/nose-hump-incr": 0.2,
            },
            skin=(206, 156, 128),
            lips=(172, 104, 92),
            hair=(40, 32, 28),
            iris=(86, 110, 128),
        ),
    }
)
