"""Which file is the recording of a shot: `<shot>` with any suffix of a recording or a film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from audio2face.config_base.types import RECORDING_SUFFIXES
from audio2face.errors import UserError

DEFAULT_SUFFIX = ".wav"


def list_recordings(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The recordings in a folder by their names without suffix, each sorted; none where there is no such folder."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in RECORDING_SUFFIXES and not path.is_dir():
            found.setdefault(path.stem, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def the_recording(paths: Sequence[Path], shot: str) -> Path:
    """The only recording of a shot.

    Raises:
        UserError: there are several of different suffix.
    """
    if len(paths) > 1:
        raise UserError(
            f"shot {shot!r} has {len(paths)} recordings: {', '.join(path.name for path in paths)}",
            path=paths[0].parent,
            hint="Keep the one that belongs to the animation, and move the others to another folder.",
        )
    return paths[0]


def unusual_names(root: Path, recordings: Mapping[str, Path]) -> dict[str, str]:
    """Paths below the folder of recordings that do not end in `.wav`, by the path without suffix.

    Args:
        root: AUDIO_ROOT.
        recordings: files by any key.
    """
    inside = [path.relative_to(root) for path in recordings.values() if path.suffix != DEFAULT_SUFFIX]
    return {path.with_suffix("").as_posix(): path.as_posix() for path in inside}
