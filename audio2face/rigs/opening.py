"""Opens a rig by what a user types: a built-in head, with tongue, teeth and eyes, or a character."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.errors import UserError
from audio2face.example.head import HEAD_FILE, IDENTITIES, Head
from audio2face.extras import require
from audio2face.io.atomic import file_sha256
from audio2face.rigs.obj_scene import SUFFIX, read_obj_folder
from audio2face.rigs.rig import Rig, RigTongue
from audio2face.rigs.scene import Scene
from audio2face.types import AnyArray, Float32Array


def open_rig(rig: str | PathLike[str]) -> Rig:
    """Opens a rig.

    Args:
        rig: "example" or "example:ben" for a built-in head, else the path of a character: a file of `SUFFIXES`, or a
            folder with a neutral and one file for each shape as .obj.

    Raises:
        UserError: there is no such head or file, or the file holds no face that can speak.
    """
    text = str(rig)
    name, colon, identity = text.partition(":")
    if name == BUILT_IN:
        return open_built_in(identity if colon else IDENTITIES[0])
    from audio2face.rigs.character import rig_of

    return rig_of(open_scene(Path(text)))


def open_scene(path: Path) -> Scene:
    """Opens the file or folder of a character, by its suffix.

    Raises:
        UserError: it is missing, damaged, or of no format that is read.
    """
    suffix = path.suffix.lower()
    for reader in _READERS:
        if suffix in reader.suffixes:
            if reader.extra is not None:
                require(f"Reading a character as {suffix}", reader.extra)
            module = importlib.import_module(f"audio2face.rigs.{reader.module}")
            found: Scene = getattr(module, reader.function)(path)
            return found
    if path.is_dir() or (not suffix and (path.parts[1:] or path.exists())):
        return read_obj_folder(path)
    heads = ", ".join(f"{BUILT_IN}:{identity}" for identity in IDENTITIES)
    hint = f"Give {BUILT_IN!r} (or {heads}), a character as a file ({' '.join(SUFFIXES)}), or a folder of .obj files."
    if suffix == SUFFIX and path.is_file():
        hint = "Give the folder, in which neutral.obj is the face at rest and each other file a shape."
    raise UserError(f"{str(path)!a} names no rig", hint=hint)


@dataclass(frozen=True)
class _Reader:
    """What reads a format; loaded when it is needed.

    Attributes:
        suffixes: of its files.
        module: within this package.
        function: `function(path) -> Scene`.
        extra: what it needs beside the base installation, see `audio2face.extras`.
    """

    suffixes: tuple[str, ...]
    module: str
    function: str
    extra: str | None = None


_READERS = (
    _Reader((".glb", ".gltf", ".vrm"), "gltf_scene", "read_gltf"),
    _Reader((".usd", ".usda", ".usdc", ".usdz"), "usd_scene", "read_usd", "usd"),
    _Reader((".npz",), "npz_scene", "read_npz"),
    _Reader((".fbx", ".blend"), "blender_scene", "read_through_blender"),
)
SUFFIXES = tuple(suffix for reader in _READERS for suffix in reader.suffixes)
"""Suffixes of the files of characters."""

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
