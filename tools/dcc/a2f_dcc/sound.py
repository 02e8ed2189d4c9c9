"""Cuts a part out of a WAV file, to the sample, without decoding it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from a2f_dcc import SceneError

_BLOCK = 1 << 20
_SILENCE_OF_BYTES = b"\x80"  # WAV of 8 bits is unsigned
_FORMATS = (1, 3, 0xFFFE)  # integers, floats, either of them
_LARGEST = 0xFFFFFFFF


@dataclass(frozen=True)
class WavFile:
    """Where the samples of a WAV file lie.

    Attributes:
        path: the file.
        form: content of its chunk `fmt `.
        rate: samples per second.
        frame_bytes: of one sample of all channels.
        bits: of one sample.
        offset: of the first sample.
        num_samples: in each channel.
    """

    path: Path
    form: bytes
    rate: int
    frame_bytes: int
    bits: int
    offset: int
    num_samples: int

    @classmethod
    def open(cls, path: Path) -> WavFile:
        """Reads the header.

        Raises:
            SceneError: the file is missing, or is no WAV of integers or floats.
        """
        hint = "Convert the recording to WAV: in Blender, the sequencer takes any format."
        try:
            with path.open("rb") as handle:
                if handle.read(4) != b"RIFF" or handle.read(8)[4:] != b"WAVE":
                    raise SceneError(f"{path} is not a WAV file", hint)
                chunks = _chunks(handle, path.stat().st_size)
        except OSError as error:
            raise SceneError(f"{path} cannot be read: {error.strerror or error}", hint) from error
        if "fmt " not in chunks or "data" not in chunks:
            raise SceneError(f"{path} holds no sound", hint)
        form, (offset, length) = chunks["fmt "][2], chunks["data"][:2]
        code, _, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", form)
        if code not in _FORMATS or not rate or not frame_bytes:
            raise SceneError(f"{path} holds compressed sound (format {code})", hint)
        return cls(path, form, rate, frame_bytes, bits, offset, length // frame_bytes)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.num_samples / self.rate


def _chunks(handle: IO[bytes], size: int) -> dict[str, tuple[int, int, bytes]]:
    """Offset and length of each chunk, and the content of `fmt `."""
    found: dict[str, tuple[int, int, bytes]] = {}
    while len(head := handle.read(8)) == 8:
        name, length = head[:4].decode("latin-1"), struct.unpack("<I", head[4:])[0]
        here = handle.tell()
        length = min(length, size - here)
        found.setdefault(name, (here, length, handle.read(length) if name == "fmt " and length < 100 else b""))
        handle.seek(here + length + length % 2)
    return {name: chunk for name, chunk in found.items() if name != "fmt " or len(chunk[2]) >= 16}


def cut_wav(source: Path, target: Path, start: float, seconds: float) -> None:
    """Writes a part of a WAV file in the same form; what lies outside the recording is silence.

    Args:
        source: the recording.
        target: the new file.
        start: of the part in seconds of the recording; may be negative.
        seconds: length of the part.

    Raises:
        SceneError: the recording cannot be read.
    """
    wav = WavFile.open(source)
    first, count = round(start * wav.rate), round(seconds * wav.rate)
    begin, end = (min(max(edge, 0), wav.num_samples) for edge in (first, first + count))
    before = min(max(-first, 0), count)
    length = count * wav.frame_bytes
    total = 4 + 8 + len(wav.form) + len(wav.form) % 2 + 8 + length + length % 2
    if total > _LARGEST:
        raise SceneError(f"a shot of {seconds:.0f} s is too long for WAV", "Cut it into shots of 3 to 30 seconds.")
    with target.open("wb") as out, source.open("rb") as handle:
        out.write(b"RIFF" + struct.pack("<I", total) + b"WAVEfmt " + struct.pack("<I", len(wav.form)))
        out.write(wav.form + b"\0" * (len(wav.form) % 2) + b"data" + struct.pack("<I", length))
        _write_silence(out, before, wav)
        handle.seek(wav.offset + begin * wav.frame_bytes)
        left = (end - begin) * wav.frame_bytes
        while left > 0 and (block := handle.read(min(left, _BLOCK))):
            out.write(block)
            left -= len(block)
        _write_silence(out, count - before - (end - begin), wav)
        out.write(b"\0" * (length % 2))


def _write_silence(out: IO[bytes], samples: int, wav: WavFile) -> None:
    silence = _SILENCE_OF_BYTES if wav.bits == 8 else b"\0"
    left = samples * wav.frame_bytes
    while left > 0:
        out.write(silence * min(left, _BLOCK))
        left -= _BLOCK
