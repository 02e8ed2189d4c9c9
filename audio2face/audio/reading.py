"""Audio files and the sound of films, block by block, with every failure turned into one kind of error.

Knows files, headers and raw samples per channel, and which library reads what: libsndfile the formats that it knows to
the sample, FFmpeg all others (`audio2face.audio.media`). Mixing, levels and rates are decided by its callers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from audio2face.audio.framing import find_flaw, is_chained, is_mp3
from audio2face.audio.media import MediaTrack, PatchedFile, open_track
from audio2face.audio.wav import check_wav
from audio2face.errors import FileFormatError, UserError, missing_file

BLOCK_SAMPLES = 65_536
_BLOCK_VALUES = 1 << 18  # samples times channels held at once
# A header may not promise more than the file can hold. Compressed speech stays under 64 values per byte, digital
# silence has no such limit, so the first 2^24 values (64 MB once decoded) are always believed.
_ALWAYS_BELIEVED = 1 << 24
_MAX_VALUES_PER_BYTE = 256
_MAX_MAGNITUDE = 1e10  # full scale is 1, or 2^31 in files that hold unscaled integers; filters must not overflow
_LOSSLESS = ("PCM_", "FLOAT", "DOUBLE", "ALAC_", "DWVW_")
_UNKNOWN_LENGTH = 1 << 62  # what libsndfile says of streams; no file holds as much
_SNDFILE_KINDS = (b"riff", b"FORM", b".snd", b"fLaC")
_WAV_KINDS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_UNSUPPORTED_ENCODING = 4  # libsndfile's error code for a known container with an unknown codec
_CUT_OFF = "The file was cut off or is damaged: copy or export it again."


@dataclass(frozen=True)
class AudioHeader:
    """What an audio file says about itself, or decoding it has shown.

    Attributes:
        samplerate: samples per second.
        num_samples: length, per channel.
        num_channels: 1 for mono.
        subtype: coding of a sample in libsndfile's terms, such as "PCM_16" or "FLOAT"; the codec, such as "AAC", where
            libsndfile does not know it.
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
        """Whether the coding leaves out what is hardly audible, so that decoding does not give what was recorded."""
        return not self.subtype.startswith(_LOSSLESS)


@dataclass(frozen=True)
class _MediaFile:
    """A file that FFmpeg reads, as long as it stays the same: what was found out about it once is kept.

    Attributes:
        path: the file.
        size: in bytes.
        identity: number, and times of change in nanoseconds.
    """

    path: Path
    size: int
    identity: tuple[int, ...]


def read_header(path: Path | str) -> AudioHeader:
    """Reads the header of an audio file or a film, and checks that the samples can be there.

    WAV files are checked to the byte (`check_wav`, which says what becomes of streaming headers), other containers
    where they say how long they are. Films and compressed files are decoded once to count their samples, since their
    headers tell a length that is rounded, estimated or missing.

    Raises:
        UserError: there is no such file, or it has no sound track.
        FileFormatError: it is no audio file, is damaged or cut off, or holds no samples.
    """
    path = Path(path)
    with _opened(path) as source:
        if isinstance(source, soundfile.SoundFile):
            return AudioHeader(source.samplerate, source.frames, source.channels, source.subtype)
        return _media_header(source)


def sample_blocks(path: Path | str, block: int = BLOCK_SAMPLES) -> Iterator[npt.NDArray[np.float32]]:
    """Yields the samples of an audio file or of a film's sound track in order, full scale being 1.

    The first sample is the one that a player plays at time 0: see `audio2face.audio.media`.

    Args:
        path: the file.
        block: samples at a time at most; fewer where there are many channels.

    Yields:
        Float32 [samples, channels], each value finite.

    Raises:
        UserError: there is no such file, or it has no sound track.
        FileFormatError: it is no audio file, is damaged or cut off, holds no samples, or a sample is not finite.
    """
    path = Path(path)
    with _opened(path) as source:
        if isinstance(source, soundfile.SoundFile):
            blocks = _sound_blocks(source, path, block)
        else:
            header = _media_header(source)  # refuses what is damaged at any place, before the first block
            rows = max(1, min(block, _BLOCK_VALUES // header.num_channels))
            blocks = _regrouped(_media_track(source).samples(), rows)
        done = 0
        for samples in blocks:
            _check_finite(samples, done, path)
            yield samples
            done += len(samples)
        if done == 0:
            raise FileFormatError("the file holds no samples", path=path)


def _sound_blocks(sound: soundfile.SoundFile, path: Path, block: int) -> Iterator[npt.NDArray[np.float32]]:
    rows = max(1, min(block, _BLOCK_VALUES // sound.channels))
    done = 0
    while done < sound.frames:
        with _translated(path):
            samples: npt.NDArray[np.float32] = sound.read(
                min(rows, sound.frames - done), dtype="float32", always_2d=True
            )
        if len(samples) == 0:
            raise FileFormatError(
                f"the header promises {sound.frames:,} samples, {done:,} could be decoded",
                path=path,
                hint=_CUT_OFF,
            )
        yield samples
        done += len(samples)


def _regrouped(parts: Iterable[npt.NDArray[np.float32]], rows: int) -> Iterator[npt.NDArray[np.float32]]:
    """Joins and cuts parts `[samples, channels]` into blocks of `rows` samples; the last one has what is left."""
    held: list[npt.NDArray[np.float32]] = []
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
def _opened(path: Path) -> Iterator[soundfile.SoundFile | _MediaFile]:
    """Opens a file with its header checked: by libsndfile, or by FFmpeg what that cannot read, or not to the end."""
    if not path.is_file():
        raise missing_file("there is no such audio file", path, "Check the configured folder and the shot's name.")
    if path.suffix.lower() == ".raw":
        raise UserError("raw samples carry no sample rate", path=path, hint="Convert the file to WAV.")
    with _translated(path):
        status = path.stat()
        if status.st_size == 0:
            raise FileFormatError("the file is empty", path=path, offset=0)
        replaced = check_wav(path)
    with ExitStack() as stack:
        sound = _open_sound(path, replaced, stack)
        if sound is None:
            yield _MediaFile(path, status.st_size, (status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
            return
        _check_end(path)
        _check_header(sound, path, status.st_size)
        yield sound


def _open_sound(path: Path, replaced: Mapping[int, bytes], stack: ExitStack) -> soundfile.SoundFile | None:
    """Opens a file by libsndfile; None where FFmpeg reads it, or reads it better.

    libsndfile guesses the length of MP3 without an Info tag and stops there, does not know that of a streamed FLAC
    file, and reads the first recording only of an Ogg file that holds several.
    """
    with _translated(path):
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
    """Whether nothing else reads what libsndfile refuses: damaged files of the kinds that it knows best."""
    with path.open("rb") as handle:
        magic = handle.read(12)
    is_known = magic[:4] in _SNDFILE_KINDS or (magic[:4] in _WAV_KINDS and magic[8:] == b"WAVE")
    return is_known and error.code != _UNSUPPORTED_ENCODING


@lru_cache(maxsize=4096)
def _media_track(file: _MediaFile) -> MediaTrack:
    _check_end(file.path)
    return open_track(file.path)


def _check_end(path: Path) -> None:
    with _translated(path):
        flaw = find_flaw(path)
    if flaw is None:
        return
    raise FileFormatError(f"{flaw.problem}{_last_sound(path)}", path=path, offset=flaw.offset, hint=_CUT_OFF)


def _last_sound(path: Path) -> str:
    """Up to where the sound of a damaged film can be decoded, in words; nothing where it cannot be at all."""
    count, rate = 0, 1
    try:
        track = open_track(path)
        rate = track.samplerate
        for samples in track.samples():
            count += len(samples)
    except UserError:
        pass
    return f"; its sound can be decoded up to {count / rate:.2f} s" if count else ""


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


def _check_header(sound: soundfile.SoundFile, path: Path, file_size: int) -> None:
    if sound.frames <= 0:
        raise FileFormatError("the file holds no samples", path=path)
    if sound.frames * sound.channels > max(_ALWAYS_BELIEVED, _MAX_VALUES_PER_BYTE * file_size):
        raise _too_long(sound.frames, sound.channels, path, file_size)


def _too_long(num_samples: int, num_channels: int, path: Path, file_size: int) -> FileFormatError:
    return FileFormatError(
        f"the header promises {num_samples:,} samples in {num_channels} channels, more than {file_size:,} bytes can "
        "hold",
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
