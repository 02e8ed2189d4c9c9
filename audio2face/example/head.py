"""The example actor's head: neutral face, shapes and rigid parts, and their evaluation from weights.

Reads `head.npz` beside it and poses each part. Units are centimetres and degrees; +y up, +z out of the face, the
actor's left at +x, the origin between the eyes.

The skin is a linear blend-shape rig: `neutral + sum of weight * shape`. Two consequences for its weights: `mouthClose`
keeps the jaw open, so closed lips over a jaw opened by `a` are `mouthClose = a` with `jawOpen = 0`, and `jawOpen = a,
mouthClose = b` opens the jaw by `a + b` and the lips by `a`; and effects of other shapes on the lips add up, so contact
is measured with `Head.lip_gap`. The jaw with the lower teeth and the tongue moves rigidly: it rotates about its hinge
by an angle proportional to `jawOpen + mouthClose` and slides with `jawForward`, `jawLeft` and `jawRight`. Between
neutral and fully open, the skin's straight path and the teeth's arc differ by under 2 mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.dataset.vertex_lists import LipSize, VertexLists, VertexPairs
from audio2face.errors import UserError

Float32Array = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
Colours = npt.NDArray[np.uint8]

IDENTITIES: tuple[str, ...] = ("ada", "ben")

HEAD_FILE = Path(__file__).with_name("head.npz")
DELTA_UNIT = 5e-4
"""Centimetres per count of the 16-bit deltas in the file."""

EYE_LOOK_DEGREES: Mapping[str, float] = MappingProxyType({"Down": 11.4, "Up": 9.8, "In": 15.3, "Out": 15.0})
"""Rotation of the eye that matches the lids of the skin's `eyeLook...` shapes at weight 1."""

_MILLIMETRES = 10.0
_RIGHT_EYE_FIRST = ("eyeBlinkRight", "eyeBlinkLeft")
TONGUE_COLOUR = (190, 96, 98)


@dataclass(frozen=True)
class HeadPart:
    """A part of the neutral head.

    Attributes:
        vertices: `[verts, 3]` float32, centimetres.
        faces: `[faces, 4]` int32, corners counter-clockwise seen from outside.
        colours: `[verts, 3]` uint8, sRGB.
    """

    vertices: Float32Array
    faces: Integers
    colours: Colours


@dataclass(frozen=True)
class Head:
    """One identity of the example head; all identities share faces, shapes and vertex lists.

    Attributes:
        identity: name of the identity.
        skin_part, tongue_part, upper_teeth_part, lower_teeth_part: neutral geometry.
        eyes_part: both eyes looking along +z, the right one's vertices first.
        skin_shapes: `[52, verts, 3]` deltas in the order of `ARKIT_NAMES`.
        tongue_shapes: `[16, tongue_verts, 3]` deltas in the order of `TONGUE_NAMES`, before the jaw's motion.
        tongue_out: `[tongue_verts, 3]` deltas of the tongue for the ARKit shape `tongueOut`.
        rigid_tongue: `[n]` tongue vertices that only the jaw moves.
        eye_centres: `[2, 3]` centres of rotation of the eyes, right and left.
        jaw_keypoints: `[5, 3]` points on the lower teeth that span space.
        jaw_hinge: `[3]` point on the jaw's axis, which runs along x.
        jaw_open_degrees: rotation of the jaw at `jawOpen` = 1.
        jaw_slides: `[3, 3]` translations of the jaw at `jawForward`, `jawLeft`, `jawRight` = 1.
        lip_dist: `upper` and `lower`, each `[5]`: vertices on the line where the lips meet, paired by position, the
            actor's right first.
        eye_dist: `upper` and `lower`, each `[2]`: the lids' edges, right eye first.
        lip_size: `upper_lip` and `lower_lip`, each with `top` and `bottom`, each `[5]`.
        frontal_mask: `[n]` skin vertices seen from the front.
    """

    identity: str
    skin_part: HeadPart
    tongue_part: HeadPart
    upper_teeth_part: HeadPart
    lower_teeth_part: HeadPart
    eyes_part: HeadPart
    skin_shapes: Float32Array
    tongue_shapes: Float32Array
    tongue_out: Float32Array
    rigid_tongue: Integers
    eye_centres: Float32Array
    jaw_keypoints: Float32Array
    jaw_hinge: Float32Array
    jaw_open_degrees: float
    jaw_slides: Float32Array
    lip_dist: Mapping[str, Integers]
    eye_dist: Mapping[str, Integers]
    lip_size: Mapping[str, Mapping[str, Integers]]
    frontal_mask: Integers

    @classmethod
    def open(cls, identity: str) -> Head:
        """Reads one identity from the file of the package.

        Raises:
            UserError: there is no such identity.
        """
        if identity not in IDENTITIES:
            raise UserError(f"there is no example head {identity!r}", hint=f"Choose one of {', '.join(IDENTITIES)}.")
        with np.load(HEAD_FILE, allow_pickle=False) as file:
            return _assemble(identity, {name: file[name] for name in file.files})

    @property
    def lists(self) -> VertexLists:
        """The vertices that mark lips, lids and the root of the tongue."""
        upper_lip, lower_lip = (_pairs(self.lip_size[lip], "top", "bottom") for lip in ("upper_lip", "lower_lip"))
        return VertexLists(
            lip_dist=_pairs(self.lip_dist, "upper", "lower"),
            eye_dist=_pairs(self.eye_dist, "upper", "lower"),
            lip_size=LipSize(upper_lip, lower_lip),
            tongue_rigid=self.rigid_tongue.astype(np.int64),
        )

    @property
    def lip_open_delta(self) -> Float32Array:
        """`[verts, 3]` deltas that open the lips by some 6 mm with the jaw closed."""
        names = ("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight")
        shares = (0.6, 0.6, 0.3, 0.3)
        return _sum_of([share * self.skin_shapes[ARKIT_INDEX[name]] for name, share in zip(names, shares, strict=True)])

    @property
    def eye_close_delta(self) -> Float32Array:
        """`[verts, 3]` deltas that close both eyes."""
        return _sum_of([self.skin_shapes[ARKIT_INDEX[name]] for name in _RIGHT_EYE_FIRST])

    def skin(self, weights: Float32Array, vertices: Integers | None = None) -> Float32Array:
        """Poses the skin; memory is that of the result, so pass a block of frames at a time.

        Args:
            weights: `[frames, 52]` in the order of `ARKIT_NAMES`.
            vertices: vertices to pose; all by default.

        Returns:
            `[frames, verts, 3]` float32, centimetres.
        """
        neutral, shapes = self.skin_part.vertices, self.skin_shapes
        if vertices is not None:
            neutral, shapes = neutral[vertices], shapes[:, vertices]
        posed = np.asarray(weights, dtype=np.float32) @ shapes.reshape(len(shapes), -1)
        posed += neutral.reshape(-1)
        return posed.reshape(len(weights), -1, 3)

    def tongue(self, weights: Float32Array, tongue_weights: Float32Array) -> Float32Array:
        """Poses the tongue, including the jaw's motion.

        Args:
            weights: `[frames, 52]`; only `tongueOut` and the jaw's shapes are used.
            tongue_weights: `[frames, 16]` in the order of `TONGUE_NAMES`.

        Returns:
            `[frames, tongue_verts, 3]` float32, centimetres.
        """
        own = np.asarray(tongue_weights, dtype=np.float32) @ self.tongue_shapes.reshape(len(self.tongue_shapes), -1)
        own = own.reshape(len(own), -1, 3) + self.tongue_part.vertices
        own += np.asarray(weights, dtype=np.float32)[:, ARKIT_INDEX["tongueOut"], None, None] * self.tongue_out
        return self._with_jaw(weights, own)

    def lower_teeth(self, weights: Float32Array) -> Float32Array:
        """Poses the lower teeth: `[frames, verts, 3]`, centimetres, for weights `[frames, 52]`."""
        return self._with_jaw(weights, self.lower_teeth_part.vertices)

    def jaw_keypoint_deltas(self, weights: Float32Array) -> Float32Array:
        """Returns the deltas `[frames, 5, 3]` of the jaw's key points, centimetres, for weights `[frames, 52]`."""
        return self._with_jaw(weights, self.jaw_keypoints) - self.jaw_keypoints

    def jaw_transforms(self, weights: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Returns the jaw's motion, which maps a neutral point p to `R p + t`.

        Args:
            weights: `[frames, 52]`.

        Returns:
            Rotations `[frames, 3, 3]` and translations `[frames, 3]`, centimetres.
        """
        weights = np.asarray(weights, dtype=np.float32)
        opened = weights[:, ARKIT_INDEX["jawOpen"]] + weights[:, ARKIT_INDEX["mouthClose"]]
        turn = _about_x(np.radians(self.jaw_open_degrees * opened))
        slides = weights[:, [ARKIT_INDEX[name] for name in ("jawForward", "jawLeft", "jawRight")]] @ self.jaw_slides
        return turn, slides + self.jaw_hinge - turn @ self.jaw_hinge

    def _with_jaw(self, weights: Float32Array, points: Float32Array) -> Float32Array:
        """Transforms `points`, `[verts, 3]` or `[frames, verts, 3]`, by the jaw's motion: `[frames, verts, 3]`."""
        turn, shift = self.jaw_transforms(weights)
        return np.asarray(points @ turn.transpose(0, 2, 1) + shift[:, None], dtype=np.float32)

    def eyes(self, rotations: Float32Array) -> Float32Array:
        """Poses the eyes.

        Args:
            rotations: `[frames, 2, 2]` degrees: right and left eye; pitch about x (positive looks down), then yaw
                about y (positive looks to the actor's left).

        Returns:
            `[frames, verts, 3]` float32, centimetres, the right eye's vertices first.
        """
        radians = np.radians(np.asarray(rotations, dtype=np.float32))
        halves = self.eyes_part.vertices.reshape(2, -1, 3)
        turned = []
        for eye, centre in enumerate(self.eye_centres):
            turn = _about_y(radians[:, eye, 1]) @ _about_x(radians[:, eye, 0])
            turned.append((halves[eye] - centre) @ turn.transpose(0, 2, 1) + centre)
        return np.concatenate(turned, axis=1)

    def extra_parts(self) -> dict[str, npt.NDArray[np.generic]]:
        """Further parts for rendering, `<part>_{vertices,faces,colours}`, and the colours of skin and tongue."""
        half = len(self.eyes_part.vertices) // 2
        of_right = np.all(self.eyes_part.faces < half, axis=1)
        eyes = self.eyes_part
        parts = {
            "upper_teeth": self.upper_teeth_part,
            "lower_teeth": self.lower_teeth_part,
            "right_eye": HeadPart(eyes.vertices[:half], eyes.faces[of_right], eyes.colours[:half]),
            "left_eye": HeadPart(eyes.vertices[half:], eyes.faces[~of_right] - half, eyes.colours[half:]),
        }
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for name, part in parts.items():
            arrays |= {f"{name}_vertices": part.vertices, f"{name}_faces": part.faces, f"{name}_colours": part.colours}
        return arrays | {
            "eye_centres": self.eye_centres,
            "skin_colours": self.skin_part.colours,
            "tongue_colours": self.tongue_part.colours,
        }

    def lip_gap(self, weights: Float32Array) -> Float32Array:
        """Measures the height of the opening between the lips at the five pairs of `lip_dist`.

        Returns:
            `[frames, 5]` millimetres for weights `[frames, 52]`; at most about 0.5 where the lips touch, negative
            where they press into one another.
        """
        return self._gap(weights, self.lip_dist)

    def lid_gap(self, weights: Float32Array) -> Float32Array:
        """Measures the opening between the lids, right and left: `[frames, 2]` millimetres, negative when closed."""
        return self._gap(weights, self.eye_dist)

    def _gap(self, weights: Float32Array, pairs: Mapping[str, Integers]) -> Float32Array:
        upper, lower = (self.skin(weights, pairs[side])[..., 1] for side in ("upper", "lower"))
        return _MILLIMETRES * (upper - lower)


def _assemble(identity: str, arrays: dict[str, npt.NDArray[np.generic]]) -> Head:
    def floats(name: str) -> Float32Array:
        return arrays[name].astype(np.float32)

    def deltas(name: str) -> Float32Array:
        return floats(name) * np.float32(DELTA_UNIT)

    def integers(name: str) -> Integers:
        return arrays[name].astype(np.int32)

    def part(name: str, colours: npt.NDArray[np.generic]) -> HeadPart:
        return HeadPart(floats(f"{identity}_{name}"), integers(f"{name}_faces"), colours.astype(np.uint8))

    shapes = deltas("skin_shapes")
    for name, scale in zip(_RIGHT_EYE_FIRST, floats(f"{identity}_blink_scales"), strict=True):
        shapes[ARKIT_INDEX[name]] *= scale
    tongue_colours = np.tile(np.array(TONGUE_COLOUR, dtype=np.uint8), (len(arrays[f"{identity}_tongue"]), 1))
    lists = {name: integers(name) for name in ("lip_upper", "lip_lower", "lip_top", "lip_bottom")}
    return Head(
        identity=identity,
        skin_part=part("skin", arrays[f"{identity}_skin_colours"]),
        tongue_part=part("tongue", tongue_colours),
        upper_teeth_part=part("upper_teeth", arrays["upper_teeth_colours"]),
        lower_teeth_part=part("lower_teeth", arrays["lower_teeth_colours"]),
        eyes_part=part("eyes", arrays[f"{identity}_eyes_colours"]),
        skin_shapes=shapes,
        tongue_shapes=deltas("tongue_shapes"),
        tongue_out=deltas("tongue_out"),
        rigid_tongue=integers("rigid_tongue"),
        eye_centres=floats(f"{identity}_eye_centres"),
        jaw_keypoints=floats(f"{identity}_jaw_keypoints"),
        jaw_hinge=floats(f"{identity}_jaw_hinge"),
        jaw_open_degrees=float(floats("jaw_open_degrees")),
        jaw_slides=floats("jaw_slides"),
        lip_dist={"upper": lists["lip_upper"], "lower": lists["lip_lower"]},
        eye_dist={"upper": integers("lid_upper"), "lower": integers("lid_lower")},
        lip_size={
            "upper_lip": {"top": lists["lip_top"], "bottom": lists["lip_upper"]},
            "lower_lip": {"top": lists["lip_lower"], "bottom": lists["lip_bottom"]},
        },
        frontal_mask=integers("frontal_mask"),
    )


def _pairs(lists: Mapping[str, Integers], above: str, below: str) -> VertexPairs:
    return VertexPairs(lists[above].astype(np.int64), lists[below].astype(np.int64))


def _sum_of(deltas: list[Float32Array]) -> Float32Array:
    total: Float32Array = np.sum(deltas, axis=0, dtype=np.float32)
    return total


def _about_x(angles: Float32Array) -> Float32Array:
    """Returns rotations `[n, 3, 3]` about +x by `angles` `[n]` in radians."""
    cos, sin = np.cos(angles), np.sin(angles)
    zero, one = np.zeros_like(angles), np.ones_like(angles)
    return np.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=-1).reshape(-1, 3, 3)


def _about_y(angles: Float32Array) -> Float32Array:
    """Returns rotations `[n, 3, 3]` about +y by `angles` `[n]` in radians."""
    cos, sin = np.cos(angles), np.sin(angles)
    zero, one = np.zeros_like(angles), np.ones_like(angles)
    return np.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], axis=-1).reshape(-1, 3, 3)
