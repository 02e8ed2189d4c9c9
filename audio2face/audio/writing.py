"""Writes recordings as WAV files with the precision of their source."""

from __future__ import annotations

from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt
import soundfile

from audio2face.audio.reading import AudioHeader
from audio2face.types import Float32Array

_SIXTEEN_BITS = ("PCM_16", "PCM_S8", "PCM_U8", "ALAC_16")  # lossless encodings of at most 16 bits


class WavWriter:
    """Writes samples in blocks, at the rate and with the channels of their source.

    Sources of up to 16 bits, and lossy ones, become 16-bit PCM (identical samples for 16-bit sources), others 32-bit
    floats.

    Args:
        handle: the file.
        header: of the source.
    """

    def __init__(self, handle: IO[bytes], header: AudioHeader) -> None:
        self._is_short = header.is_lossy or header.subtype in _SIXTEEN_BITS
        subtype = "PCM_16" if self._is_short else "FLOAT"
        self._sound = soundfile.SoundFile(handle, "w", header.samplerate, header.num_channels, subtype, format="WAV")

    def write(self, samples: Float32Array) -> None:
        """Appends samples `[samples, channels]`, full scale 1."""
        self._sound.write(_as_integers(samples) if self._is_short else samples)

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._sound.close()


def _as_integers(samples: Float32Array) -> npt.NDArray[np.int16]:
    """The exact inverse of reading 16 bits as floats; libsndfile's conversion is off by one for some values."""
    return np.asarray(np.clip(np.rint(samples * 32768.0), -32768, 32767), np.int16)
