"""Reads audio files and the audio of films in blocks, with one error type for all failures.

libsndfile reads the formats that it decodes to the sample, FFmpeg all others (`audio2face.audio.media`). Callers decide
on mixing, levels and sample rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from audio2face.audio.framing import find_flaw, is_chained, is_mp3
from audio2face.audio.media import MediaTrack, PatchedFile, open_track
from audio2face.audio.wav import check_wav
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.types import Float32Array

BLOCK_SAMPLES = 65_536
_BLOCK_VALUES = 1 << 18  # samples times channels in memory at once
# The length in a header must be plausible for the file size. Compressed speech stays under 64 values per byte; digital
# silence compresses without limit, so the first 2^24 values (64 MB once decoded) are always accepted.
_ALWAYS_BELIEVED = 1 << 24
_MAX_VALUES_PER_BYTE = 256
_MAX_MAGNITUDE = 1e10  # full scale is 1, or 2^31 in files of unscaled integers; filters must not overflow
_LOSSLESS = ("PCM_", "FLOAT", "DOUBLE", "ALAC_", "DWVW_")
_UNKNOWN_LENGTH = 1 << 62  # libsndfile's length for streams; above that of any file
_SNDFILE_KINDS = (b"riff", b"FORM", b".snd", b"fLaC")
_WAV_KINDS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_UNSUPPORTED_ENCODING = 4  # libsndfile's error code for a known container with an unknown codec
_CUT_OFF = "The file was cut off or is damaged: copy or export it again."


@dataclass(frozen=True)
class AudioHeader:
    """Properties of an audio file from its header, or from decoding it.

    Attributes:
        samplerate: samples per second.
        num_samples: length, per channel.
        num_channels: 1 for mono.
        subtype: sample format in libsndfile's terms, such as "PCM_16" or "FLOAT"; the codec, such as "AAC", of other
            files.
    """

    samplerate: int
    num_samples: int
    num_channels: int
    subtype: str

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.samplerate

    @property
    def is_lossy(self) -> bool:
        """Whether the coding is lossy, so that decoding does not reproduce the recording."""
        return not self.subtype.startswith(_LOSSLESS)


@dataclass(frozen=True)
class _MediaFile:
    """A file that FFmpeg reads; results are cached as long as it stays unchanged.

    Attributes:
        path: the file.
        size: in bytes.
        identity: number, and times of change in nanoseconds.
    """

    path: Path
    size: int
    identity: tuple[int, ...]


def read_header(path: Path | str) -> AudioHeader:
    """Reads the header of an audio file or a film, and checks its length.

    WAV files are checked to the byte by `check_wav`, which also handles streaming headers; other containers where they
    state their length. Films and compressed files are decoded once to count their samples, since the length in their
    headers is rounded, estimated or missing.

    Raises:
        UserError: the file is missing, or it has no audio track.
        FileFormatError: it is not an audio file, is damaged or truncated, or holds no samples.
    """
    path = Path(path)
    with _open_file(path) as source:
        if isinstance(source, soundfile.SoundFile):
            return AudioHeader(source.samplerate, source.frames, source.channels, source.subtype)
        return _media_header(source)


def sample_blocks(path: Path | str, block: int = BLOCK_SAMPLES) -> Iterator[Float32Array]:
    """Yields the samples of an audio file or of a film's audio track in order; full scale is 1.

    The first sample is the one that a player plays at time 0 (`audio2face.audio.media`).

    Args:
        path: the file.
        block: maximum number of samples per block; fewer for many channels.

    Yields:
        Float32 [samples, channels], each value finite.

    Raises:
        UserError: the file is missing, or it has no audio track.
        FileFormatError: it is not an audio file, is damaged or truncated, holds no samples, or a sample is not finite.
    """
    path = Path(path)
    with _open_file(path) as source:
        if isinstance(source, soundfile.SoundFile):
            blocks = _libsndfile_blocks(source, path, block)
        else:
            header = _media_header(source)  # refuses a file that is damaged anywhere, before the first block
            rows = max(1, min(block, _BLOCK_VALUES // header.num_channels))
            blocks = _regroup(_media_track(source).samples(), rows)
        done = 0
        for samples in blocks:
            _check_finite(samples, done, path)
            yield samples
            done += len(samples)
        if done == 0:
            raise FileFormatError("the file holds no samples", path=path)


def _libsndfile_blocks(sound: soundfile.SoundFile, path: Path, block: int) -> Iterator[Float32Array]:
    rows = max(1, min(block, _BLOCK_VALUES // sound.channels))
    done = 0
    while done < sound.frames:
        with _converted_errors(path):
            samples: Float32Array = sound.read(min(rows, sound.frames - done), dtype="float32", always_2d=True)
        if len(samples) == 0:
            raise FileFormatError(
                f"the header states {sound.frames:,} samples, {done:,} could be decoded",
                path=path,
                hint=_CUT_OFF,
            )
        yield samples
        done += len(samples)


def _regroup(parts: Iterable[Float32Array], rows: int) -> Iterator[Float32Array]:
    """Regroups parts `[samples, channels]` into blocks of `rows` samples; the last one may be shorter."""
    held: list[Float32Array] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count >= rows:
            joined = np.concatenate(held)
            for start in range(0, count - rows + 1, rows):
                yield joined[start : start + rows]
            held, count = [joined[count - count % rows :]], count % rows
    if count:
        yield np.concatenate(held)


@contextmanager
def _open_file(path: Path) -> Iterator[soundfile.SoundFile | _MediaFile]:
    """Opens a file with its header checked: through libsndfile, or FFmpeg if libsndfile cannot read it all."""
    if not path.is_file():
        raise missing_file("there is no such audio file", path, "Check the configured folder and the shot's name.")
    if path.suffix.lower() == ".raw":
        raise UserError("raw samples carry no sample rate", path=path, hint="Convert the file to WAV.")
    with _converted_errors(path):
        status = path.stat()
        if status.st_size == 0:
            raise FileFormatError("the file is empty", path=path, offset=0)
        replaced = check_wav(path)
    with ExitStack() as stack:
        sound = _open_libsndfile(path, replaced, stack)
        if sound is None:
            yield _MediaFile(path, status.st_size, (status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
            return
        _check_end(path)
        _check_header(sound, path, status.st_size)
        yield sound


def _open_libsndfile(path: Path, replaced: Mapping[int, bytes], stack: ExitStack) -> soundfile.SoundFile | None:
    """Opens a file through libsndfile; None for files that FFmpeg reads, or reads better.

    libsndfile guesses the length of MP3 without an Info tag and stops there, does not know the length of a streamed
    FLAC file, and reads only the first recording of an Ogg file that holds several.
    """
    with _converted_errors(path):
        if is_mp3(path) or is_chained(path):
            return None
        source = stack.enter_context(PatchedFile(path, replaced)) if replaced else path
        try:
            sound = stack.enter_context(soundfile.SoundFile(source))
        except soundfile.LibsndfileError as error:
            if _is_final(path, error):
                raise
            return None
    is_guess = sound.frames >= _UNKNOWN_LENGTH or sound.subtype.startswith("MPEG_LAYER")  # in a WAV file
    return None if is_guess else sound


def _is_final(path: Path, error: soundfile.LibsndfileError) -> bool:
    """Returns whether a file that libsndfile refuses is damaged: it is of a kind that libsndfile reads best."""
    with path.open("rb") as handle:
        magic = handle.read(12)
    is_known = magic[:4] in _SNDFILE_KINDS or (magic[:4] in _WAV_KINDS and magic[8:] == b"WAVE")
    return is_known and error.code != _UNSUPPORTED_ENCODING


@lru_cache(maxsize=4096)
def _media_track(file: _MediaFile) -> MediaTrack:
    _check_end(file.path)
    return open_track(file.path)


def _check_end(path: Path) -> None:
    with _converted_errors(path):
        flaw = find_flaw(path)
    if flaw is None:
        return
    raise FileFormatError(f"{flaw.problem}{_decodable_until(path)}", path=path, offset=flaw.offset, hint=_CUT_OFF)


def _decodable_until(path: Path) -> str:
    """Describes up to which time the audio of a damaged film can be decoded; empty if none can be."""
    count, rate = 0, 1
    try:
        track = open_track(path)
        rate = track.samplerate
        for samples in track.samples():
            count += len(samples)
    except UserError:
        pass
    return f"; its audio can be decoded up to {count / rate:.2f} s" if count else ""


@lru_cache(maxsize=4096)
def _media_header(file: _MediaFile) -> AudioHeader:
    """Decodes a track to the end and counts its samples."""
    track, count = _media_track(file), 0
    for samples in track.samples():
        count += len(samples)
        if count * track.num_channels > max(_ALWAYS_BELIEVED, _MAX_VALUES_PER_BYTE * file.size):
            raise _too_long(count, track.num_channels, file.path, file.size)
    if count == 0:
        raise FileFormatError("the file holds no samples", path=file.path)
    return AudioHeader(track.samplerate, count, track.num_channels, track.subtype)


@contextmanager
def _converted_errors(path: Path) -> Iterator[None]:
    """Converts errors of soundfile and the system on bad files to this project's error type."""
    try:
        yield
    except (soundfile.SoundFileError, OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
        raise FileFormatError(
            f"cannot be read as audio: {(reason or type(error).__name__).rstrip('.')}",
            path=path,
            hint="Export it again, as a WAV file with 16 or 24 bits per sample.",
        ) from error


def _check_header(sound: soundfile.SoundFile, path: Path, file_size: int) -> None:
    if sound.frames <= 0:
        raise FileFormatError("the file holds no samples", path=path)
    if sound.frames * sound.channels > max(_ALWAYS_BELIEVED, _MAX_VALUES_PER_BYTE * file_size):
        raise _too_long(sound.frames, sound.channels, path, file_size)


def _too_long(num_samples: int, num_channels: int, path: Path, file_size: int) -> FileFormatError:
    return FileFormatError(
        f"the header states {num_samples:,} samples in {num_channels} channels, more than {file_size:,} bytes can hold",
        path=path,
        hint="The header is damaged, or was written before the length was known: export the file again.",
    )


def _check_finite(samples: Float32Array, first: int, path: Path) -> None:
    """Refuses NaN, infinity and implausible magnitudes.

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
        "with full scale 1",
        path=path,
        hint="Export the file again, as integers of 16 or 24 bits.",
    )
