"""Audio files block by block: what libsndfile reads, with every failure turned into one kind of error.

Knows files, headers and raw samples per channel. Mixing, levels and rates are decided by its callers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from audio2face.audio.wav import check_wav
from audio2face.errors import FileFormatError, UserError, missing_file

BLOCK_SAMPLES = 65_536
_BLOCK_VALUES = 1 << 18  # samples times channels held at once
# A header may not promise more than the file can hold. Compressed speech stays under 64 values per byte, digital
# silence has no such limit, so the first 2^24 values (64 MB once decoded) are always believed.
_ALWAYS_BELIEVED = 1 << 24
_MAX_VALUES_PER_BYTE = 256
_MAX_MAGNITUDE = 1e10  # full scale is 1, or 2^31 in files that hold unscaled integers; filters must not overflow


@dataclass(frozen=True)
class AudioHeader:
    """What an audio file says about itself.

    Attributes:
        samplerate: samples per second.
        num_samples: length, per channel.
        num_channels: 1 for mono.
        subtype: coding of a sample in libsndfile's terms, such as "PCM_16" or "FLOAT".
    """

    samplerate: int
    num_samples: int
    num_channels: int
    subtype: str

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.samplerate


def read_header(path: Path | str) -> AudioHeader:
    """Reads the header of an audio file, without its samples, and checks that the samples can be there.

    WAV files are checked to the byte (`check_wav`, which says what becomes of streaming headers); others for
    plausibility, since only decoding tells.

    Raises:
        UserError: there is no such file.
        FileFormatError: it is no audio file, is damaged or cut off, or holds no samples.
    """
    with _opened(Path(path)) as (_, header):
        return header


def sample_blocks(path: Path | str, block: int = BLOCK_SAMPLES) -> Iterator[npt.NDArray[np.float32]]:
    """Yields the samples of an audio file in order, full scale being 1.

    Args:
        path: the file.
        block: samples at a time at most; fewer where there are many channels.

    Yields:
        Float32 [samples, channels], each value finite.

    Raises:
        UserError: there is no such file.
        FileFormatError: it is no audio file, is damaged or cut off, holds no samples, or a sample is not finite.
    """
    path = Path(path)
    with _opened(path) as (sound, header):
        rows = max(1, min(block, _BLOCK_VALUES // header.num_channels))
        done = 0
        while done < header.num_samples:
            with _translated(path):
                samples: npt.NDArray[np.float32] = sound.read(
                    min(rows, header.num_samples - done), dtype="float32", always_2d=True
                )
            if len(samples) == 0:
                raise FileFormatError(
                    f"the header promises {header.num_samples:,} samples, {done:,} could be decoded",
                    path=path,
                    hint="The file was cut off or is damaged: copy or export it again.",
                )
            _check_finite(samples, done, path)
            yield samples
            done += len(samples)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[soundfile.SoundFile, AudioHeader]]:
    """Opens a file with its header checked."""
    if not path.is_file():
        raise missing_file("there is no such audio file", path, "Check the configured folder and the shot's name.")
    if path.suffix.lower() == ".raw":
        raise UserError("raw samples carry no sample rate", path=path, hint="Convert the file to WAV.")
    with _translated(path):
        file_size = path.stat().st_size
        if file_size == 0:
            raise FileFormatError("the file is empty", path=path, offset=0)
        check_wav(path)
        sound = soundfile.SoundFile(path)
    with sound:
        header = AudioHeader(sound.samplerate, sound.frames, sound.channels, sound.subtype)
        _check_header(header, path, file_size)
        yield sound, header


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turns what soundfile and the system raise on bad files into our error."""
    try:
        yield
    except (soundfile.SoundFileError, OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
        raise FileFormatError(
            f"cannot be read as audio: {(reason or type(error).__name__).rstrip('.')}",
            path=path,
            hint="Export it again, as a WAV file with 16 or 24 bits per sample.",
        ) from error


def _check_header(header: AudioHeader, path: Path, file_size: int) -> None:
    if header.num_samples <= 0:
        raise FileFormatError("the file holds no samples", path=path)
    if header.num_samples * header.num_channels > max(_ALWAYS_BELIEVED, _MAX_VALUES_PER_BYTE * file_size):
        raise FileFormatError(
            f"the header promises {header.num_samples:,} samples in {header.num_channels} channels, more than "
            f"{file_size:,} bytes can hold",
            path=path,
            hint="The header is damaged, or was written before the length was known: export the file again.",
        )


def _check_finite(samples: npt.NDArray[np.float32], first: int, path: Path) -> None:
    """Refuses NaN, infinity and magnitudes that no recording has.

    Args:
        samples: float32 [samples, channels].
        first: position of the block in the file, in samples.
        path: the file, for the message.
    """
    usable = np.abs(samples) <= _MAX_MAGNITUDE
    if usable.all():
        return
    row, channel = np.argwhere(~usable)[0]
    raise FileFormatError(
        f"sample {first + row} of channel {channel} is {samples[row, channel]}: expected a finite number, "
        "full scale being 1",
        path=path,
        hint="Export the file again, as integers of 16 or 24 bits.",
    )
