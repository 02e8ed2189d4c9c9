"""The recordings of takes: which belongs to a take, and where in it the take begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from audio2face.animation.timecode import TimecodeRate
from audio2face.audio import read_header
from audio2face.audio.media_frames import open_container
from audio2face.audio.wav import read_time_reference
from audio2face.dataset.shots import list_recordings, only_recording
from audio2face.errors import UserError

_FILMS = (".mov", ".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".mxf")
_FARTHEST_START = 60.0  # seconds between the starts of a take and its recording, from their clocks
_NTSC = Fraction(1000, 1001)
_RATE_NEAR = 3e-4


def find_recording(
    given: Path | None, stems: Sequence[str], folder: Path, is_only: bool
) -> tuple[Path | None, list[str]]:
    """Finds the recording of a take.

    Args:
        given: the recording, or a folder of recordings; None: beside the take.
        stems: names that it may have, the best first.
        folder: of the take.
        is_only: whether there is no other take.

    Returns:
        The recording, None without one; and what is worth knowing of it.

    Raises:
        UserError: one recording is given for several takes, or there are several of the same name.
    """
    if given is not None and not given.is_dir():
        if not is_only:
            raise UserError(
                f"--audio names one recording ({given.name}) for several takes",
                path=given,
                hint="Give a folder with a recording of each take's name, or import one take.",
            )
        return given, []
    recordings = list_recordings(given or folder)
    stem = next((stem for stem in stems if stem in recordings), None)
    if stem is None and given is not None and is_only and len(recordings) == 1:
        stem = next(iter(recordings))
    if stem is None:
        return None, []
    found = only_recording(recordings[stem], stem)
    return (found, []) if _has_sound(found) else (None, [f"the film {found.name} has no sound"])


def _has_sound(path: Path) -> bool:
    """Whether a recording can be read; a film without an audio track is none.

    Raises:
        UserError: the file is damaged.
    """
    try:
        return read_header(path).num_samples > 0
    except UserError as error:
        if "no audio track" in error.problem:
            return False
        raise


@dataclass(frozen=True)
class Clock:
    """What a recording says about time.

    Attributes:
        start: of the recording, in seconds of the day; None where it does not say.
        fps: frames per second of its pictures; None without pictures.
    """

    start: float | None = None
    fps: Fraction | None = None


def read_clock(path: Path) -> Clock:
    """Reads the time of the day at which a recording starts, and the rate of a film.

    Raises:
        UserError: the file cannot be read.
    """
    if path.suffix.lower() not in _FILMS:
        try:
            start = read_time_reference(path)
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror or error}", path=path) from error
        return Clock(None if start is None else float(start))
    with open_container(path) as container:
        video = next(iter(container.streams.video), None)
        if video is None:
            return Clock()
        fps = video.average_rate
        labels = [stream.metadata.get("timecode") for stream in container.streams]
        label = container.metadata.get("timecode") or next((text for text in labels if text), None)
    return Clock(None if label is None or fps is None else _seconds(label, Fraction(fps)), fps and Fraction(fps))


def _seconds(label: str, fps: Fraction) -> float | None:
    """Seconds of the day of a time code of a film, by its labels."""
    fields = label.replace(";", ":").replace(".", ":").split(":")
    if len(fields) != 4 or not all(field.isdigit() for field in fields):
        return None
    hours, minutes, seconds, frame = map(int, fields)
    try:
        nominal = TimecodeRate.of(fps).nominal
    except UserError:
        nominal = max(1, round(fps))
    return hours * 3600 + minutes * 60 + seconds + frame / nominal


def start_in(clock: Clock, first: float) -> float | None:
    """Where in a recording the moment `first`, in seconds of the day, lies; None where the clocks do not tell.

    Clocks that are more than a minute apart are not the same clock.
    """
    if clock.start is None:
        return None
    start = first - clock.start
    return start if abs(start) <= _FARTHEST_START else None


def true_rate(fps: Fraction, clock: Clock) -> Fraction:
    """The rate of a take whose time codes count frames: 29.97 where its film has that and the labels tell 30."""
    for exact in (fps * _NTSC, fps / _NTSC):
        if clock.fps is not None and abs(float(clock.fps / exact) - 1) < _RATE_NEAR:
            return exact
    return fps
