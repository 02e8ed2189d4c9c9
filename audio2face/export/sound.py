"""The recording of an animation as a WAV file beside its exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from audio2face.audio import read_header, sample_blocks
from audio2face.export.animation import Animation
from audio2face.files import atomic_write

_SIXTEEN_BITS = ("PCM_16", "PCM_S8", "PCM_U8", "ALAC_16")  # the lossless codings that 16 bits hold


def write_sound(animation: Animation, folder: Path, name: str) -> Path | None:
    """Writes the recording as `<name>.wav` at its own rate with all its channels, whatever file or film it comes from.

    Sources of up to 16 bits, and lossy ones, become 16-bit PCM (for 16-bit sources without a change of any sample),
    finer ones 32-bit floats. The file is read and written in blocks.

    Returns:
        The file; None for an animation without a recording.

    Raises:
        UserError: the recording cannot be read, or the file cannot be written.
    """
    if animation.audio is None:
        return None
    header = read_header(animation.audio)
    sixteen = header.is_lossy or header.subtype in _SIXTEEN_BITS
    path = folder / f"{name}.wav"
    with (
        atomic_write(path) as handle,
        soundfile.SoundFile(
            handle, "w", header.samplerate, header.num_channels, "PCM_16" if sixteen else "FLOAT", format="WAV"
        ) as sound,
    ):
        for samples in sample_blocks(animation.audio):
            sound.write(_as_integers(samples) if sixteen else samples)
    return path


def _as_integers(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """The exact inverse of reading 16 bits as floats; libsndfile's own conversion is off by one here and there."""
    return np.asarray(np.clip(np.rint(samples * 32768.0), -32768, 32767), np.int16)
