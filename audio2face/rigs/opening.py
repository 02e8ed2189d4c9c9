"""Opens a rig by what a user types: the built-in head, or the file of a character."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from audio2face.errors import UserError
from audio2face.example.head import IDENTITIES
from audio2face.rigs.built_in import BUILT_IN, open_built_in
from audio2face.rigs.gltf_reader import SUFFIXES
from audio2face.rigs.rig import Rig


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
    from audio2face.rigs.character import read_character

    return read_character(path)
