"""Reads the pictures of films: upright, with square pixels, each with the time at which a player shows it.

Times are those of `audio2face.audio.reading`: 0 is the first sample of the film's sound as it is read there, so that
sound and picture keep their true distance. The frame rate is found from the times of all pictures, because headers
state an average, and films of telephones and browsers have variable rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audio2face.audio.edit_list import TimedEdit, read_edit_lists
from audio2face.audio.media import is_still, presentation_start
from audio2face.audio.media_frames import MOV, FrameReader, converted_errors, open_container
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.importers.timing import USUAL_RATES
from audio2face.types import Float64Array, Picture

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

LONGEST_SIDE = 1920  # pixels; larger pictures are reduced, since a face needs no more than a quarter of it
_MOST_PIXELS = 1 << 26  # in a picture, as stated by the header
_ROUNDING_SECONDS = 0.0011  # time stamps are rounded to milliseconds in some containers
_LAG = 10  # pictures over which jitter of their times evens out
_NEAR = 0.02  # a measured rate is taken for a standard one within this share


@dataclass(frozen=True)
class Film:
    """The video track of a film.

    Attributes:
        path: the file.
        width, height: of the pictures as they are coded, in pixels.
        stated_rates: frame rates in the header, the most trustworthy first.
        stated_seconds: length in the header; None where it states none.
        origin: time stamp in seconds that is time 0, for tracks without edits.
        edits: the ranges to present, and when; none for all.
        has_sound: whether it has an audio track.
    """

    path: Path
    width: int
    height: int
    stated_rates: tuple[Fraction, ...]
    stated_seconds: float | None
    origin: Fraction
    edits: tuple[TimedEdit, ...]
    has_sound: bool

    def pictures(self) -> Iterator[tuple[float, Picture]]:
        """Decodes the film once.

        Yields:
            Time in seconds, ascending, and picture, uint8 `[height, width, 3]`, contiguous.

        Raises:
            FileFormatError: it is damaged; the message gives the time.
            UserError: its edit list repeats pictures, or plays them in another order.
        """
        with converted_errors(self.path), open_container(self.path) as container:
            track = _select(container, self.path)
            track.thread_type = "AUTO"
            last = -np.inf
            for number, frame in enumerate(FrameReader["VideoFrame"](container, track, self.path)):
                for time in self._shown(self._stamp(frame, number)):
                    if time <= last:
                        raise self._disordered(time)
                    last = time
                    yield time, _upright(frame, track.sample_aspect_ratio)

    def _stamp(self, frame: VideoFrame, number: int) -> Fraction:
        """Time stamp of a frame in seconds; by its number in streams that carry none."""
        if frame.pts is None or frame.time_base is None:
            return self.origin + number / self.stated_rates[0]
        return frame.pts * frame.time_base

    def _shown(self, stamp: Fraction) -> list[float]:
        if not self.edits:
            return [float(stamp - self.origin)]
        return [
            float(edit.at + stamp - edit.start)
            for edit in self.edits
            if stamp >= edit.start and (edit.duration is None or stamp < edit.start + edit.duration)
        ]

    def _disordered(self, time: float) -> UserError:
        return UserError(
            f"its pictures are not in order at {time:.2f} s: the film was edited without being written anew",
            path=self.path,
            hint="Export the film from an editing program, so that its edits are applied.",
        )


def open_film(path: Path) -> Film:
    """Inspects a film.

    Raises:
        UserError: the file is missing, or holds no moving pictures.
        FileFormatError: it is not a film, or is damaged.
    """
    if not path.is_file():
        raise missing_file("there is no such film", path, "Check the name of the file.")
    with converted_errors(path), open_container(path) as container:
        track = _select(container, path)
        width, height = track.codec_context.width, track.codec_context.height
        if not 0 < width * height <= _MOST_PIXELS:
            raise FileFormatError(f"the header states pictures of {width} x {height} pixels", path=path)
        rates = [track.average_rate, track.guessed_rate, track.base_rate]
        stated = tuple(dict.fromkeys(rate for rate in rates if rate))
        if not stated:
            raise FileFormatError("the header states no frame rate", path=path, hint="Export the film as MP4.")
        edits = read_edit_lists(path).get(track.id, ()) if container.format.name == MOV else ()
        return Film(
            path=path,
            width=width,
            height=height,
            stated_rates=stated,
            stated_seconds=_stated_seconds(container, track),
            origin=Fraction(0) if edits else presentation_start(container),
            edits=edits,
            has_sound=bool(container.streams.audio),
        )


def _select(container: InputContainer, path: Path) -> VideoStream:
    """Selects the first track of moving pictures.

    Raises:
        UserError: there is none that can be decoded.
    """
    tracks = [track for track in container.streams.video if not is_still(track.disposition)]
    if not tracks:
        raise UserError("holds no moving pictures", path=path, hint="Give a film that shows the speaking face.")
    usable = [track for track in tracks if track.codec_context is not None]
    if not usable:
        raise UserError(
            "its pictures are in a codec that the video library cannot decode",
            path=path,
            hint="Export the film as MP4 with H.264.",
        )
    return usable[0]


def _stated_seconds(container: InputContainer, track: VideoStream) -> float | None:
    if track.duration is not None and track.time_base is not None:
        return float(track.duration * track.time_base)
    return None if container.duration is None else container.duration / 1e6


def _upright(frame: VideoFrame, pixel_aspect: Fraction | None) -> Picture:
    """Converts a frame as `Film.pictures` yields it."""
    width, height = frame.width, frame.height
    if pixel_aspect:
        width = max(1, round(width * pixel_aspect))
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    rgb = frame.reformat(width=max(1, round(width * scale)), height=max(1, round(height * scale)), format="rgb24")
    # Rows of frames are padded, and the array is a view without the padding. The angle is counter-clockwise.
    turned = np.rot90(np.asarray(rgb.to_ndarray(), np.uint8), round(frame.rotation / 90))
    return np.ascontiguousarray(turned)


@dataclass(frozen=True)
class FrameRate:
    """The rate of a film.

    Attributes:
        fps: frames per second.
        is_constant: whether every picture lies at its place; otherwise `fps` is the rate to resample to.
        spread: largest distance of a picture from its place, in seconds.
    """

    fps: Fraction
    is_constant: bool
    spread: float


def find_rate(times: Float64Array, stated: Sequence[Fraction]) -> FrameRate:
    """Finds the frame rate of pictures.

    Args:
        times: of at least two pictures in seconds, ascending, `[frames]`.
        stated: rates in the header, preferred where several fit.
    """
    lag = min(_LAG, len(times) - 1)
    usual = float(np.median(times[lag:] - times[:-lag])) / lag
    candidates = [rate for rate in dict.fromkeys([*stated, *USUAL_RATES]) if abs(float(rate) * usual - 1) < 0.2]
    spreads = {rate: _spread(times, rate) for rate in candidates}
    for rate, spread in spreads.items():
        if spread <= _ROUNDING_SECONDS:
            return FrameRate(rate, True, spread)
    mean = (len(times) - 1) / float(times[-1] - times[0])
    exact = Fraction(mean).limit_denominator(1001)
    if exact and (spread := _spread(times, exact)) <= _ROUNDING_SECONDS:
        return FrameRate(exact, True, spread)
    named = [rate for rate in stated if rate in USUAL_RATES and abs(float(rate) * usual - 1) < _NEAR]
    nearest = named[0] if named else min(USUAL_RATES, key=lambda rate: abs(float(rate) * usual - 1))
    return FrameRate(nearest, False, _spread(times, nearest))


def _spread(times: Float64Array, rate: Fraction) -> float:
    """Largest distance from evenly spaced times, in seconds, for the best place of the first."""
    residual = times - np.arange(len(times)) / float(rate)
    return float(np.ptp(residual)) / 2
