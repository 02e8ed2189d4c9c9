"""The file beside a character with its vertex lists, where a user corrects what was found.

`hero.glb` has `hero.lists.json`, the folder `hero/` too. Lists that it holds take the place of those that were found.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from audio2face.console import LOGGER
from audio2face.dataset.vertex_lists import VertexLists
from audio2face.errors import FileFormatError
from audio2face.io.atomic import file_sha256
from audio2face.rigs.scene import Scene
from audio2face.types import Int64Array

_ENDING = ".lists.json"


def lists_path(character: Path) -> Path:
    """The file beside a character, whether it exists or not."""
    whole = character.absolute()
    return whole.with_name((whole.name if whole.is_dir() else whole.stem) + _ENDING)


def corrected(found: VertexLists, scene: Scene, num_verts: int, tongue_verts: int) -> tuple[VertexLists, str]:
    """The lists of a character, and the SHA-256 of it with the file that corrects them.

    Args:
        found: the lists that were found.
        scene: the character.
        num_verts: vertices of the skin.
        tongue_verts: vertices of the tongue.

    Raises:
        UserError: the file cannot be read, or (FileFormatError) it is invalid or of another mesh.
    """
    path = lists_path(scene.path)
    if not path.is_file():
        return found, scene.digest
    given = VertexLists.read(path)
    for name, count in (("lip_dist", num_verts), ("eye_dist", num_verts), ("lip_size", num_verts)):
        pairs = getattr(given, name)
        if pairs is not None:
            _check(path, name, pairs.all(), count)
    if given.tongue_rigid is not None:
        _check(path, "tongue_rigid", given.tongue_rigid, tongue_verts)
    LOGGER.info("%s: vertex lists are those of %s", scene.path.name, path.name)
    return found.replaced(given), hashlib.sha256(f"{scene.digest} {file_sha256(path)}".encode()).hexdigest()


def _check(path: Path, name: str, vertices: Int64Array, count: int) -> None:
    if len(vertices) and vertices.max() >= count:
        raise FileFormatError(
            f"{name} names vertex {vertices.max()}, and the mesh has {count:,}",
            path=path,
            hint="It is of another mesh. Remove it, and `audio2face rig` writes it anew.",
        )
