"""The frames of an animated character: its rate from the times of keys, and where it begins in the recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from audio2face.errors import UserError, missing_file
from audio2face.importers.timing import rate_of
from audio2face.types import Float64Array

_LEAST_KEYED = 0.5  # of the frames: an animation with fewer keys does not tell its rate
_FEWEST_FRAMES = 2
_MOST_FRAMES = 1_000_000


@dataclass(frozen=True)
class Clip:
    """Frames of an animation.

    Attributes:
        first: time of frame 0 on the file's clock, in seconds.
        num_frames: number of frames.
        fps: frames per second.
        start: position of frame 0 in the recording, in seconds.
    """

    first: float
    num_frames: int
    fps: Fraction
    start: float

    def times(self, frames: slice) -> Float64Array:
        """Times of frames on the file's clock, in seconds, `[frames]`."""
        return self.first + np.arange(frames.start, frames.stop) / float(self.fps)


def clip_frames(keys: Sequence[Float64Array], stated: Fraction | None, path: Path, zero: float | None = None) -> Clip:
    """The frames between the first and the last key of an animation.

    Without another word the recording begins at time 0 of the animation, or with its first key where that is less than
    two frames later: programs that count frames from 1 put it there.

    Args:
        keys: times of the keys of each property, ascending, in seconds.
        stated: the rate that is given or that the file states; None: as the keys tell.
        path: the file, for messages.
        zero: time at which the recording begins; None where the file does not tell.

    Raises:
        UserError: the keys tell no rate, or there are too few or too many frames.
    """
    first, last = min(float(each[0]) for each in keys), max(float(each[-1]) for each in keys)
    fps = stated or _rate_of_keys(keys, last - first)
    if fps is None:
        raise UserError(
            "the times of its keys tell no frame rate",
            path=path,
            hint="Give it: --fps 30. Or bake the animation, a key in each frame, when it is exported.",
        )
    count = round((last - first) * float(fps)) + 1
    if not _FEWEST_FRAMES <= count <= _MOST_FRAMES:
        raise UserError(
            f"its animation lasts {last - first:.3g} s, {count} frames",
            path=path,
            hint="Export it over the frames of the take.",
        )
    if zero is None:
        zero = first if 0 <= first < 2 / float(fps) else 0.0
    return Clip(first, count, fps, first - zero)


def _rate_of_keys(keys: Sequence[Float64Array], seconds: float) -> Fraction | None:
    densest = max(keys, key=len)
    rate = rate_of(densest)
    keyed = len(densest) >= _LEAST_KEYED * seconds * float(rate or 0)
    return rate if keyed else None


def find_sources(sources: Sequence[Path], suffixes: Sequence[str], what: str) -> list[Path]:
    """The files of some suffixes among sources, which are files or folders of them.

    Args:
        sources: files and folders.
        suffixes: in lower case.
        what: the files, in the plural.

    Raises:
        UserError: a source is missing or holds none.
    """
    found = []
    for source in sources:
        if not source.exists():
            raise missing_file("there is no such file or folder", source, f"Give {what}, or a folder of them.")
        own = [source] if source.is_file() else sorted(path for path in source.iterdir() if path.is_file())
        fitting = [path for path in own if path.suffix.lower() in suffixes]
        if not fitting:
            raise UserError(f"holds no {what} ({' '.join(suffixes)})", path=source, hint="Check the kind of import.")
        found += fitting
    return found
