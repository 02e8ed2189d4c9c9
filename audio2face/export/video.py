"""A finished face as a video with audio, or one frame as a picture, rendered off-screen."""

from __future__ import annotations

import io
import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.animation.animation import Animation
from audio2face.audio import read_header, sample_blocks
from audio2face.console import track
from audio2face.errors import UserError
from audio2face.export.render.renderer import Renderer, write_caption
from audio2face.io.atomic import atomic_files, atomic_write
from audio2face.types import Picture

_VIDEO_SAMPLES = 2  # per pixel: compression hides the benefit of more
_PICTURE_SAMPLES = 8
_MAX_WORKERS = 8  # each needs some 50 MB of arrays at 1280 x 720
_AUDIO_RATE = 48_000
_AUDIO_BITS = 160_000  # per second
_QUALITY = "19"  # x264's constant rate factor: 18 is visually almost lossless


class _FrameRenderer:
    """Renders the frames of one face, or of two side by side, at the times of the first."""

    def __init__(
        self,
        animation: Animation,
        compare: Animation | None,
        labels: tuple[str, str],
        size: tuple[int, int],
        samples: int,
    ) -> None:
        self._faces = [animation] if compare is None else [animation, compare]
        self._labels = labels
        width = size[0] // len(self._faces)
        self._renderers = [Renderer(face, width, size[1], samples) for face in self._faces]

    def frame(self, number: int) -> Picture:
        """The picture `[height, width, 3]` of a frame of the first face."""
        seconds = number / self._faces[0].fps
        pictures = []
        for face, renderer, label in zip(self._faces, self._renderers, self._labels, strict=False):
            picture = renderer.frame(min(round(seconds * face.fps), face.num_frames - 1))
            write_caption(picture, label)
            pictures.append(picture)
        return np.concatenate(pictures, axis=1)


def write_video(
    animation: Animation,
    path: Path,
    *,
    compare: Animation | None = None,
    labels: tuple[str, str] = ("", ""),
    size: tuple[int, int] = (1280, 720),
) -> Path:
    """Writes an MP4 (H.264, and AAC if there is a recording) at the animation's rate. It needs no display.

    Args:
        animation: the face; without polygons it is drawn as points.
        path: the file, `.mp4`.
        compare: a second face, shown to the right of the first; if it is shorter, its last frame is held.
        labels: captions of the first and the second face.
        size: width and height in pixels; both even, the width a multiple of four for two faces.

    Raises:
        UserError: the size or the file name is invalid, the recording cannot be read, or the file cannot be written.
    """
    import av  # loads in half a second

    path = Path(path)
    _check(path, size, 1 if compare is None else 2)
    renderer = _FrameRenderer(animation, compare, labels, size, _VIDEO_SAMPLES)
    with atomic_files(path.parent) as made:
        options = {"movflags": "+faststart"}
        with av.open(str(made / path.name), "w", format="mp4", options=options) as container:
            picture = _picture_stream(container, animation.fps, size)
            packets = _audio_packets(container, animation)
            packet = next(packets, None)
            drawn = _render(renderer, animation.num_frames)
            for number, pixels in enumerate(track(drawn, animation.num_frames, path.name)):
                while packet is not None and packet[0] <= number / animation.fps:
                    container.mux(packet[1])
                    packet = next(packets, None)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
                frame.pts = number
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
            while packet is not None:
                container.mux(packet[1])
                packet = next(packets, None)
    return path


def write_picture(
    animation: Animation,
    frame: int,
    path: Path,
    *,
    compare: Animation | None = None,
    labels: tuple[str, str] = ("", ""),
    size: tuple[int, int] = (1280, 720),
) -> Path:
    """Writes one frame as a PNG of any size; the arguments are those of `write_video`.

    Raises:
        UserError: the file cannot be written, or there is no such frame.
    """
    if not 0 <= frame < animation.num_frames:
        raise UserError(f"there is no frame {frame}; the animation has {animation.num_frames}")
    from matplotlib.image import imsave  # loads in most of a second

    png = io.BytesIO()
    imsave(png, _FrameRenderer(animation, compare, labels, size, _PICTURE_SAMPLES).frame(frame), format="png")
    with atomic_write(path) as handle:
        handle.write(png.getvalue())
    return Path(path)


def _check(path: Path, size: tuple[int, int], faces: int) -> None:
    if path.suffix.lower() != ".mp4":
        raise UserError("does not have the suffix of a video", path=path, hint="Videos are written as .mp4.")
    width, height = size
    if width < 64 or height < 64 or width % (2 * faces) or height % 2:
        raise UserError(
            f"a video of {width} x {height} pixels is not possible",
            hint=f"Both must be 64 or more, the height even, the width a multiple of {2 * faces}.",
        )


def _render(renderer: _FrameRenderer, num_frames: int) -> Iterator[Picture]:
    """Yields all frames in order, rendered in a few threads: NumPy releases the interpreter lock while it computes."""
    workers = min(os.cpu_count() or 1, _MAX_WORKERS)
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Picture]] = deque()
        for number in range(num_frames):
            pending.append(pool.submit(renderer.frame, number))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _picture_stream(container: Any, fps: float, size: tuple[int, int]) -> Any:
    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
    stream.codec_context.time_base = 1 / Fraction(fps).limit_denominator(1001)
    stream.options = {"crf": _QUALITY, "preset": "veryfast", "profile": "high"}
    # The numbers of ITU-R BT.709, without which players guess from the size.
    stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
    stream.codec_context.color_range = 1
    return stream


def _audio_packets(container: Any, animation: Animation) -> Iterator[tuple[float, Any]]:
    """Yields the recording as AAC packets, each with its time in seconds; nothing without a recording."""
    if animation.audio is None:
        return iter(())
    layout = "mono" if read_header(animation.audio).num_channels == 1 else "stereo"
    stream = container.add_stream("aac", rate=_AUDIO_RATE, layout=layout)
    stream.bit_rate = _AUDIO_BITS
    # None flushes the encoder
    frames = itertools.chain(_audio_frames(animation.audio, animation.seconds, layout), [None])
    packets = (packet for frame in frames for packet in stream.encode(frame))
    return ((float(packet.pts * packet.time_base), packet) for packet in packets)


def _audio_frames(path: Path, seconds: float, layout: str) -> Iterator[Any]:
    """Yields a recording as frames of the video library, at `_AUDIO_RATE`, cut after `seconds`."""
    import av

    header = read_header(path)
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=_AUDIO_RATE)
    left, position = round(seconds * header.samplerate), 0
    for block in sample_blocks(path):
        samples = block[:left]
        if not len(samples):
            break
        if header.num_channels > 2:
            samples = np.repeat(samples.mean(axis=1, keepdims=True), 2, axis=1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = header.samplerate, position
        frame.time_base = Fraction(1, header.samplerate)
        yield from resampler.resample(frame)
        left, position = left - len(samples), position + len(samples)
    yield from resampler.resample(None)
