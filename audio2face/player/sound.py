"""The recording inside the page: sound that every browser plays, and its outline for the timeline.

One channel, 16 bits, FLAC: lossless, about half of a WAV file, and read by every browser that can draw the page.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from audio2face.audio.reading import read_header, sample_blocks
from audio2face.audio.resample import resample_hann

_HIGHEST_RATE = 48_000  # Hz; what computers play
OUTLINE_RATE = 200  # columns of the outline per second
_OUTLINE_LEVELS = 127


@dataclass(frozen=True, eq=False)
class Sound:
    """A recording for the page.

    Attributes:
        flac: the file.
        seconds: its length.
        outline: lowest and highest value of each 1/200 s, -127 to 127 stored with 128 added, uint8 `[columns, 2]`.
    """

    flac: bytes
    seconds: float
    outline: npt.NDArray[np.uint8]


def page_sound(path: Path, seconds: float) -> Sound:
    """Reads a recording; silence is added up to the length of the animation.

    Args:
        path: any recording or film with sound.
        seconds: length of the animation.

    Raises:
        UserError: there is no such file, or (FileFormatError) it cannot be read as sound.
    """
    rate = read_header(path).samplerate
    samples = np.concatenate([block.mean(axis=1, dtype=np.float32) for block in sample_blocks(path)])
    if rate > _HIGHEST_RATE:
        samples, rate = resample_hann(samples, rate, _HIGHEST_RATE), _HIGHEST_RATE
    missing = round(seconds * rate) - len(samples)
    samples = np.clip(np.pad(samples, (0, max(missing, 0))), -1.0, 1.0)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype="PCM_16", format="FLAC")
    return Sound(file.getvalue(), len(samples) / rate, _outline(samples, rate))


def _outline(samples: npt.NDArray[np.float32], rate: int) -> npt.NDArray[np.uint8]:
    columns = max(1, len(samples) * OUTLINE_RATE // rate)
    starts = np.arange(columns) * len(samples) // columns
    edges = [np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)]
    levels = np.rint(np.stack(edges, axis=1) * _OUTLINE_LEVELS + (_OUTLINE_LEVELS + 1))
    return np.asarray(levels, np.uint8)
