#!/bin/bash
# trimesh reads an OBJ whose texture has seams with more vertices, and other numbers for them, also with process=False.
#
# Versions:   trimesh 5.2.0, pillow 13.0.0, numpy 2.4.6
# Behaviour:  a vertex that has two texture coordinates becomes two, which stand beside each other, so that all later ones have
#             other numbers. process=False, which reads like "as in the file", does not change that; maintain_order=True does.
# Seen:       a square of 4 vertices with a seam through the first of them: 5 vertices, and 4 with maintain_order=True.
# Why:        blend shapes and vertex caches of a face belong to its vertices by their number alone. A neutral face that was
#             read in this way does not fit them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check trimesh==5.2.0 pillow==13.0.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import io

import numpy as np
import trimesh

SQUARE = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
TEXT = "".join("v {} {} {}\n".format(*vertex) for vertex in SQUARE) + (
    "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvt 0.5 0.5\n"  # The last one is the first vertex's on the other side of the seam.
    "f 3/3 1/1 2/2\nf 1/5 3/3 4/4\n"
)
found = []
for options in ({}, {"process": False}, {"maintain_order": True}):
    mesh = trimesh.load_mesh(io.BytesIO(TEXT.encode()), file_type="obj", **options)
    numbers = [int(np.flatnonzero((mesh.vertices == vertex).all(1))[-1]) for vertex in SQUARE]
    found.append(numbers)
    print(options or "as it is", len(mesh.vertices), "vertices; those of the file have the numbers", numbers)
assert found == [[1, 2, 3, 4], [1, 2, 3, 4], [0, 1, 2, 3]], "trimesh gives vertices other numbers now"
PYTHON
