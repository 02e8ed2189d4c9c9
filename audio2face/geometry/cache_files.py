"""Opens, writes and finds animation caches by file name: the extension decides the format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio2face.errors import UserError, check_identifier, is_identifier
from audio2face.geometry.flat_caches import open_mdd, open_npy, open_pc2, write_mdd, write_npy, write_pc2
from audio2face.geometry.mapped_files import unreadable
from audio2face.geometry.maya_cache import open_maya
from audio2face.geometry.maya_writer import DEFAULT_CHANNEL, write_maya
from audio2face.geometry.point_cache import Frames, PointCache
from audio2face.placeholders import find_placeholder

# In order of precedence, where a shot has several.
CACHE_EXTENSIONS = (".npy", ".xml", ".pc2", ".mdd")


@dataclass(frozen=True)
class FoundCache:
    """The cache file of a shot.

    Attributes:
        path: the file to open.
        duplicates: caches of the same shot in formats of lower precedence.
    """

    path: Path
    duplicates: tuple[Path, ...]


def open_cache(path: Path, *, channel: str | None = None, num_verts: int | None = None) -> PointCache:
    """Opens an animation cache: .npy, .xml (Maya, with its .mc or .mcx), .pc2 or .mdd.

    Reads only headers; frames are converted on request.

    Args:
        path: the file.
        channel: for Maya caches: the name of the channel of positions, with or without its namespace.
        num_verts: for Maya caches with several channels of positions and no `channel`: the expected number of
            vertices, if known.

    Raises:
        FileFormatError: the file is damaged, or does not match its extension.
        UserError: the file is missing or unreadable, or its extension unknown.
        ChannelError: the channel is missing, or several channels match.
    """
    path = Path(path)
    extension = path.suffix.lower()
    if extension == ".xml":
        return open_maya(path, channel, num_verts)
    if extension == ".npy":
        return open_npy(path)
    if extension == ".pc2":
        return open_pc2(path)
    if extension == ".mdd":
        return open_mdd(path)
    raise _unknown_extension(path)


def write_cache(
    path: Path,
    frames: Frames,
    *,
    fps: float,
    num_frames: int | None = None,
    num_verts: int | None = None,
    start_time: float = 0.0,
    double: bool = False,
    channel: str | Mapping[str, int] = DEFAULT_CHANNEL,
) -> None:
    """Writes an animation cache in the format of the extension: .npy, .xml (Maya), .pc2 or .mdd.

    Writes atomically: a failure leaves no file under a final name. Memory holds one block at a time.

    Args:
        path: the file.
        frames: array `[frames, verts, 3]`, or blocks `[n, verts, 3]` of any number of frames each.
        fps: frames per second; .npy does not store it, .pc2 only the frame number of `start_time`.
        num_frames: number of frames; optional for an array.
        num_verts: number of vertices; optional for an array.
        start_time: time of frame 0 in seconds; .npy does not store it.
        double: float64 instead of float32; .npy and Maya only.
        channel: for Maya: name of the channel, or number of vertices of several channels by name.

    Raises:
        UserError: the file cannot be written, or the extension is unknown.
        ValueError: inconsistent arguments or blocks.
    """
    path = Path(path)
    extension = path.suffix.lower()
    counts: dict[str, Any] = {"num_frames": num_frames, "num_verts": num_verts}
    if not fps > 0:
        raise ValueError(f"{fps} frames per second; a positive number expected")
    if double and extension in (".pc2", ".mdd"):
        raise UserError("holds float32 only", path=path, hint="Write .npy or .xml for float64.")
    if extension == ".xml":
        write_maya(path, frames, fps=fps, start_time=start_time, double=double, channel=channel, **counts)
    elif extension == ".npy":
        write_npy(path, frames, double=double, **counts)
    elif extension == ".pc2":
        write_pc2(path, frames, fps=fps, start_time=start_time, **counts)
    elif extension == ".mdd":
        write_mdd(path, frames, fps=fps, start_time=start_time, **counts)
    else:
        raise _unknown_extension(path)


def _unknown_extension(path: Path) -> UserError:
    hint = f"Use one of {', '.join(CACHE_EXTENSIONS)}."
    if path.suffix.lower() in (".mc", ".mcx"):
        hint = "Name the .xml beside it."
    return UserError(
        f"{path.suffix or 'no extension'} is not the extension of an animation cache", path=path, hint=hint
    )


def find_cache(folder: Path, shot: str) -> FoundCache:
    """Finds the cache of a shot: `<folder>/<shot>/<shot>` with the first existing extension of `CACHE_EXTENSIONS`.

    Raises:
        UserError: there is none, or the shot's name is not allowed.
    """
    check_identifier(shot, "shot name")
    found = _caches(Path(folder) / shot)
    if not found:
        hint = f"Put one at {shot}/{shot} with extension {', '.join(CACHE_EXTENSIONS)}."
        for extension in CACHE_EXTENSIONS:
            elsewhere = find_placeholder(Path(folder) / shot / f"{shot}{extension}")
            if elsewhere is not None:
                hint = f"{shot}{extension} {elsewhere.problem}. {elsewhere.hint}"
        raise UserError(f"shot {shot} has no animation cache", path=folder, hint=hint)
    return FoundCache(found[0], tuple(found[1:]))


def _caches(shot_folder: Path) -> list[Path]:
    name = shot_folder.name
    return [file for extension in CACHE_EXTENSIONS if (file := shot_folder / f"{name}{extension}").is_file()]


def list_shots(root: Path) -> list[str]:
    """Returns the shots under a cache root, sorted by the bytes of their names: folders with a cache of the same name.

    Raises:
        UserError: the root is not a readable folder.
    """
    return [entry.name for entry in _entries(root) if _is_shot(entry)]


def list_strays(root: Path) -> list[Path]:
    """Lists all other entries of a cache root: files, and folders without a cache of the same name.

    Raises:
        UserError: the root is not a readable folder.
    """
    return [entry for entry in _entries(root) if not _is_shot(entry)]


def _is_shot(entry: Path) -> bool:
    return is_identifier(entry.name) and bool(_caches(entry))


def _entries(root: Path) -> list[Path]:
    """Lists the entries of `root`, without hidden ones."""
    try:
        entries = [entry for entry in Path(root).iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise unreadable(root, error) from error
    return sorted(entries, key=lambda entry: os.fsencode(entry.name))
