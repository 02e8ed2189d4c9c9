"""A finished face as a video with sound, or a frame of it as a picture, drawn off-screen."""

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

_VIDEO_SAMPLES = 2  # of a pixel: the coding hides what more would show
_PICTURE_SAMPLES = 8
_MOST_WORKERS = 8  # each holds some 50 MB of arrays at 1280 x 720
_SOUND_RATE = 48_000
_SOUND_BITS = 160_000  # a second
_QUALITY = "19"  # x264's constant rate factor: 18 can hardly be told from the source


class _Stage:
    """Draws the frames of one face, or of two side by side, at the times of the first."""

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
    """Writes an MP4 (H.264, and AAC where there is a recording) at the animation's rate. No display is needed.

    Args:
        animation: the face; one whose polygons are not known is drawn as points.
        path: the file, `.mp4`.
        compare: a second face, shown to the right of the first; it holds its last frame where it is shorter.
        labels: written below the first and the second face.
        size: width and height in pixels; both even, the width a multiple of four where there are two faces.

    Raises:
        UserError: the size or the file's name does not fit, the recording cannot be read, or the file not written.
    """
    import av  # loads for half a second

    path = Path(path)
    _check(path, size, 1 if compare is None else 2)
    stage = _Stage(animation, compare, labels, size, _VIDEO_SAMPLES)
    with atomic_files(path.parent) as made:
        options = {"movflags": "+faststart"}
        with av.open(str(made / path.name), "w", format="mp4", options=options) as container:
            picture = _picture_stream(container, animation.fps, size)
            sound = _sound_packets(container, animation)
            ahead = next(sound, None)
            drawn = _drawn(stage, animation.num_frames)
            for number, pixels in enumerate(track(drawn, animation.num_frames, path.name)):
                while ahead is not None and ahead[0] <= number / animation.fps:
                    container.mux(ahead[1])
                    ahead = next(sound, None)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
                frame.pts = number
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
            while ahead is not None:
                container.mux(ahead[1])
                ahead = next(sound, None)
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
    """Writes one frame as a PNG; see `write_video`, whose limits on the size do not apply.

    Raises:
        UserError: the file cannot be written, or there is no such frame.
    """
    if not 0 <= frame < animation.num_frames:
        raise UserError(f"there is no frame {frame}; the animation has {animation.num_frames}")
    from matplotlib.image import imsave  # loads for most of a second

    png = io.BytesIO()
    imsave(png, _Stage(animation, compare, labels, size, _PICTURE_SAMPLES).frame(frame), format="png")
    with atomic_write(path) as handle:
        handle.write(png.getvalue())
    return Path(path)


def _check(path: Path, size: tuple[int, int], faces: int) -> None:
    if path.suffix.lower() != ".mp4":
        raise UserError("is not the name of a video", path=path, hint="Videos are written as .mp4.")
    width, height = size
    if width < 64 or height < 64 or width % (2 * faces) or height % 2:
        raise UserError(
            f"a video of {width} x {height} pixels is not possible",
            hint=f"Both must be 64 or more, the height even, the width a multiple of {2 * faces}.",
        )


def _drawn(stage: _Stage, num_frames: int) -> Iterator[Picture]:
    """All frames in order, drawn in a few threads: NumPy leaves the interpreter free while it computes."""
    workers = min(os.cpu_count() or 1, _MOST_WORKERS)
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[Picture]] = deque()
        for number in range(num_frames):
            ahead.append(pool.submit(stage.frame, number))
            if len(ahead) > workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _picture_stream(container: Any, fps: float, size: tuple[int, int]) -> Any:
    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
    stream.codec_context.time_base = 1 / Fraction(fps).limit_denominator(1001)
    stream.options = {"crf": _QUALITY, "preset": "veryfast", "profile": "high"}
    # The numbers of ITU-R BT.709, without which players guess by the picture's size.
    stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
    stream.codec_context.color_range = 1
    return stream


def _sound_packets(container: Any, animation: Animation) -> Iterator[tuple[float, Any]]:
    """The recording coded as AAC: packets with the time in seconds at which each is needed; none without one."""
    if animation.audio is None:
        return iter(())
    layout = "mono" if read_header(animation.audio).num_channels == 1 else "stereo"
    stream = container.add_stream("aac", rate=_SOUND_RATE, layout=layout)
    stream.bit_rate = _SOUND_BITS
    frames = itertools.chain(_sound_frames(animation.audio, animation.seconds, layout), [None])  # None: no more follow
    packets = (packet for frame in frames for packet in stream.encode(frame))
    return ((float(packet.pts * packet.time_base), packet) for packet in packets)


def _sound_frames(path: Path, seconds: float, layout: str) -> Iterator[Any]:
    """A recording as frames of the video library, at `_SOUND_RATE`, cut after `seconds`."""
    import av

    header = read_header(path)
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=_SOUND_RATE)
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
