"""Films and compressed recordings made by the video library, and edits of their containers."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
SECONDS = 2.0123
Box = tuple[bytes, Any]
_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta"}


def speech_like(rate: int, seconds: float = SECONDS, seed: int = 0) -> Float32Array:
    """Bursts of noise over a rising tone, `[samples]`: its place is found to the sample by correlation."""
    times = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(times))
    bursts = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 3.1 * times + 0.7 * np.sin(5 * times)))
    smooth = np.convolve(noise, np.hanning(9) / np.hanning(9).sum(), "same")
    return np.asarray(0.25 * smooth * bursts + 0.2 * np.sin(2 * np.pi * (200 * times + 150 * times**2)), np.float32)


def delay_seconds(found: Float32Array, original: Float32Array, rate: int) -> float:
    """Returns the delay of `truth` within `found`, both `[samples]`; fails if it is missing."""
    size = 1 << (len(found) + len(original)).bit_length()
    match = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(original, size)), size)
    delay = int(np.argmax(match))
    delay -= size if delay > size // 2 else 0
    pair = [found[max(delay, 0) :], original[max(-delay, 0) :]]
    length = min(map(len, pair))
    assert np.corrcoef(pair[0][:length], pair[1][:length])[0, 1] > 0.9
    return delay / rate


def write_media(
    path: Path,
    codec: str,
    rate: int = 48_000,
    *,
    layout: str = "mono",
    video: str | None = None,
    at: float = 0.0,
    sounds: Sequence[Float32Array] | None = None,
    options: dict[str, str] | None = None,
    titles: dict[str, str] | None = None,
) -> None:
    """Encodes sound tracks, and pictures from time 0 on where a video codec is named.

    Args:
        path: the file; its suffix selects the container.
        codec: of the sound.
        rate: in Hz.
        layout: of the channels.
        video: codec of the pictures.
        at: time at which the sound begins, in seconds.
        sounds: one per track, `[samples]` or `[channels, samples]`; None for one of `speech_like`.
        options: of the container.
        titles: metadata.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(titles or {})
        pictures = None if video is None else _add_pictures(container, video)
        sources = [speech_like(rate)] if sounds is None else sounds
        streams: list[Any] = [container.add_stream(codec, rate=rate, layout=layout) for _ in sources]
        packets = [] if pictures is None else _pictures(pictures)
        for stream, sound in zip(streams, sources, strict=True):
            packets += _sound(stream, sound, rate, layout, at)
        for packet in packets:
            container.mux(packet)


def _add_pictures(container: Any, codec: str) -> Any:
    stream = container.add_stream(codec, rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def _pictures(stream: Any) -> list[Any]:
    packets = []
    for number in range(70):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _sound(stream: Any, sound: Float32Array, rate: int, layout: str, at: float) -> list[Any]:
    codec = stream.codec_context
    resampler = av.AudioResampler(codec.format.name, layout, rate, frame_size=codec.frame_size or 0)
    channels = np.broadcast_to(np.atleast_2d(sound), (codec.layout.nb_channels, np.shape(sound)[-1]))
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, np.float32), format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, round(at * rate), Fraction(1, rate)
    packets = []
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        packets += stream.encode(part)
    return packets + list(stream.encode(None))


def set_edits(path: Path, edits: Sequence[tuple[int, int]], smpb: str | None = None, speed: int = 0x10000) -> None:
    """Replaces the edit list of the only track of an MP4 file whose index comes last.

    Args:
        path: the file.
        edits: milliseconds, and start in the media in samples (-1: nothing is presented); none for no list.
        smpb: text of iTunes' tag of priming and padding.
        speed: 0x10000 for 1.
    """
    boxes = _parsed(path.read_bytes())
    moov = boxes[-1][1]
    assert boxes[-1][0] == b"moov"
    track = next(contents for kind, contents in moov if kind == b"trak")
    track[:] = [box for box in track if box[0] != b"edts"]
    if edits:
        rows = b"".join(struct.pack(">Iii", duration, start, speed) for duration, start in edits)
        track.insert(1, (b"edts", [(b"elst", struct.pack(">II", 0, len(edits)) + rows)]))
    moov[:] = [box for box in moov if box[0] != b"udta"]
    if smpb is not None:
        moov.append((b"udta", [(b"meta", _itunes_tag(smpb))]))
    path.write_bytes(_joined(boxes))


def _itunes_tag(text: str) -> bytes:
    tag = [
        (b"mean", bytes(4) + b"com.apple.iTunes"),
        (b"name", bytes(4) + b"iTunSMPB"),
        (b"data", bytes([0, 0, 0, 1, 0, 0, 0, 0]) + text.encode()),
    ]
    handler = (b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    return bytes(4) + _joined([handler, (b"ilst", _joined([(b"----", _joined(tag))]))])


def _parsed(data: bytes) -> list[Box]:
    boxes: list[Box] = []
    while len(data) >= 8:
        size, kind = struct.unpack(">I4s", data[:8])
        boxes.append((kind, _parsed(data[8:size]) if kind in _PARENTS else data[8:size]))
        data = data[size:]
    return boxes


def _joined(boxes: Sequence[Box]) -> bytes:
    parts = ((kind, _joined(contents) if isinstance(contents, list) else contents) for kind, contents in boxes)
    return b"".join(struct.pack(">I4s", 8 + len(contents), kind) + contents for kind, contents in parts)
