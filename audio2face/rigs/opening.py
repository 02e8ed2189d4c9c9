"""Opens a rig by what a user types: a built-in head, with tongue, teeth and eyes, or the file of a character."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.errors import UserError
from audio2face.example.head import HEAD_FILE, IDENTITIES, Head
from audio2face.io.atomic import file_sha256
from audio2face.rigs.gltf_reader import SUFFIXES
from audio2face.rigs.rig import Rig, RigTongue
from audio2face.types import AnyArray, Float32Array


def open_rig(rig: str | PathLike[str]) -> Rig:
    """Opens a rig.

    Args:
        rig: "example" or "example:ben" for a built-in head, else the path of a .glb, .gltf or .vrm file.

    Raises:
        UserError: there is no such head or file, or the file holds no face that can speak.
    """
    text = str(rig)
    name, colon, identity = text.partition(":")
    if name == BUILT_IN:
        return open_built_in(identity if colon else IDENTITIES[0])
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        heads = ", ".join(f"{BUILT_IN}:{identity}" for identity in IDENTITIES)
        raise UserError(
            f"{text!a} names no rig",
            hint=f"Give {BUILT_IN!r} (or {heads}), or a character as a file: {' '.join(SUFFIXES)}. Blender exports "
            "its own files, FBX and USD as glTF.",
        )
    from audio2face.rigs.character import rig_of
    from audio2face.rigs.gltf_scene import read_gltf

    return rig_of(read_gltf(path))


BUILT_IN = "example"
"""What names the first of the heads; `example:ben` names one."""


def open_built_in(identity: str = IDENTITIES[0]) -> Rig:
    """Opens a built-in head; nothing but NumPy is needed.

    Raises:
        UserError: there is no such head.
    """
    head = Head.open(identity)
    return Rig(
        name=identity,
        source=f"{BUILT_IN}:{identity}",
        path=None,
        digest=file_sha256(HEAD_FILE),
        neutral=head.skin_part.vertices,
        faces=head.skin_part.faces,
        pose_names=ARKIT_NAMES,
        deltas=head.skin_shapes,
        driving=np.eye(len(ARKIT_NAMES), dtype=np.float32),
        lists=head.lists,
        frontal=head.frontal_mask,
        jaw=lambda weights: _jaw(head, weights),
        jaw_points=head.jaw_keypoints,
        tongue=RigTongue(
            neutral=head.tongue_part.vertices,
            faces=head.tongue_part.faces,
            deltas=head.tongue_shapes,
            pose=head.tongue,
        ),
        parts=_parts(head),
    )


def _jaw(head: Head, weights: Float32Array) -> Float32Array:
    rotations, translations = head.jaw_transforms(weights)
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(weights), 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = rotations, translations
    return matrices


def _parts(head: Head) -> dict[str, AnyArray]:
    """Teeth and eyes with their colours, and the vertices of lids, as animations of deployed models carry them."""
    return {f"extra_{name}": array for name, array in head.extra_parts().items()} | {
        "eye_upper": head.eye_dist["upper"],
        "eye_lower": head.eye_dist["lower"],
    }
