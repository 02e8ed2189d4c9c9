"""The kind `video`: films of a speaking person, of any camera, through MediaPipe's face landmarker."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from audio2face.audio import read_header
from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.extras import require
from audio2face.importers.face_track import TRACK_FORMAT, FaceTrack, read_track
from audio2face.importers.film import Film, FrameRate, find_rate, open_film
from audio2face.importers.film_process import measure_film
from audio2face.importers.film_quality import describe_film, describe_weights, head_motion
from audio2face.importers.kinds import Importer, ImportOptions
from audio2face.importers.landmarker import MEASURED, check_model
from audio2face.importers.naming import emotion_in, take_names
from audio2face.importers.smoothing import (
    SMOOTHING_SECONDS,
    compare,
    faded,
    gaze_through_blinks,
    lip_contacts,
    remove_rest,
    smooth,
)
from audio2face.importers.sound import find_recording
from audio2face.importers.take import HeadMotion, Take, TakeSummary
from audio2face.importers.timing import Gridded, on_grid
from audio2face.importers.weights import eyes_of_weights
from audio2face.io.atomic import file_sha256, write_npz
from audio2face.rigs import open_rig

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".wmv", ".3gp")
_SLOWEST = 10  # frames per second
_FEWEST_PICTURES = 10
_SMOOTHEST_SECONDS = 1.0
_REST = {"remove": False, "keep": True}


@dataclass(frozen=True)
class _Found:
    """A film that was found.

    Attributes:
        film: the film.
        audio: its recording; None without one.
        notes: what is worth knowing of the recording.
    """

    film: Film
    audio: Path | None
    notes: tuple[str, ...]


class VideoFilms(Importer):
    """Films, each a take."""

    def __init__(self, options: ImportOptions) -> None:
        super().__init__(options)
        self._model = Path(options.more["model"]) if "model" in options.more else None
        self._smoothing = _seconds(options.more.get("smoothing"))
        self._keeps_rest = _keeps_rest(options.more.get("rest", "remove"))
        self._takes: dict[str, _Found] = {}
        self._notes: tuple[str, ...] = ()

    def inspect(self, sources: Sequence[Path]) -> list[TakeSummary]:
        """Reads the headers of the films, and checks the model."""
        require("a film", "capture", modules=("av",))
        self._notes = tuple(check_model(self._model))
        require("a film", "capture")
        paths = [path for source in sources for path in _films(source)]
        names = take_names([(path.stem, path.parent) for path in paths])
        for name, path in sorted(zip(names, paths, strict=True)):
            self._takes[name] = self._find(path, is_only=len(paths) == 1)
        return [self._summary(name, found) for name, found in self._takes.items()]

    def read(self, name: str) -> Take:
        """Measures a film, which takes about as long as it plays."""
        found = self._takes[name]
        assert self._model is not None  # `inspect` has checked it
        track = self._measured(found.film, self._model)
        take = take_of(track, found.film, name, smoothing=self._smoothing, keeps_rest=self._keeps_rest)
        return replace(
            take,
            audio=found.audio,
            emotion=self.options.emotion or emotion_in(name),
            notes=(*self._notes, *found.notes, *take.notes),
        )

    def _measured(self, film: Film, model: Path) -> FaceTrack:
        """What was measured of a film, in this call or an earlier one."""
        if self.options.scratch is None:
            return measure_film(film.path, model, film.stated_seconds)
        kept = self.options.scratch / f"{film.path.stem}-{_digest(film, model)}.npz"
        if kept.is_file():
            with suppress(UserError):  # a file that was cut off is measured anew
                return read_track(kept)
        track = measure_film(film.path, model, film.stated_seconds)
        write_npz(kept, track.arrays())
        return track

    def _find(self, path: Path, is_only: bool) -> _Found:
        film, given = open_film(path), self.options.audio
        if given is None and film.has_sound:
            return _Found(film, path, ())
        audio, notes = find_recording(given, [path.stem], path.parent, is_only)
        if audio is not None:
            notes = [*notes, f"its recording {audio.name} is taken to begin with the film"]
        return _Found(film, audio, tuple(notes))

    def _summary(self, name: str, found: _Found) -> TakeSummary:
        film = found.film
        seconds = film.stated_seconds
        if seconds is None and found.audio is not None:
            seconds = read_header(found.audio).duration
        return TakeSummary(
            name=name,
            source=film.path,
            seconds=seconds or 0.0,
            fps=film.stated_rates[0],
            lost=None,
            captured=f"{len(MEASURED)} shapes, eyes, head",
            audio=found.audio,
            emotion=self.options.emotion or emotion_in(name),
            notes=(*self._notes, *found.notes),
        )


def take_of(track: FaceTrack, film: Film, name: str, *, smoothing: float, keeps_rest: bool) -> Take:
    """Makes a take of what was measured, without its recording.

    Args:
        track: the measurements.
        film: the film.
        name: of the take.
        smoothing: width of the filter in seconds; 0 for none.
        keeps_rest: whether the person's resting face stays in the weights.

    Raises:
        UserError: the film is too short or too slow, or shows no face.
    """
    if len(track.times) < _FEWEST_PICTURES or not np.isfinite(track.lips).any():
        raise _no_face(len(track.times), film)
    rate = find_rate(track.times, film.stated_rates)
    if rate.fps < _SLOWEST:
        raise UserError(
            f"has {float(rate.fps):.1f} pictures per second, which do not show speech",
            path=film.path,
            hint="Film at 25 frames per second or more; 50 or 60 show p and b best.",
        )
    grid = _on_grid(track, rate)
    weights, lips, angles, positions = np.split(grid.values, np.cumsum([len(ARKIT_NAMES), 1, 3]), axis=1)
    contacts = lip_contacts(np.where(grid.lost, np.float32(np.nan), lips[:, 0]))
    rest = np.zeros(len(ARKIT_NAMES), np.float32)
    if not keeps_rest:
        weights, rest = remove_rest(weights, ~grid.lost)
    fps = float(rate.fps)
    smoothed = smooth(weights, fps, contacts, smoothing)
    alone = smooth(weights, fps, contacts, smoothing, keep=False)
    gaps = open_rig("example").lip_gaps().mean(axis=1)
    figures = compare(weights, smoothed, alone, fps, contacts, gaps)
    eyes = eyes_of_weights(smoothed)
    return Take(
        name=name,
        source=film.path,
        fps=rate.fps,
        lost=grid.lost,
        weights=smoothed,
        captured=MEASURED,
        eyes=None if eyes is None else gaze_through_blinks(eyes, smoothed, fps),
        head=HeadMotion(angles=angles, positions=positions),
        lips_meet=faded(contacts, fps) if contacts.any() else None,
        audio_start=float(track.times[0]),
        notes=(*describe_film(track, rate), *describe_weights(rest, weights.max(axis=0), figures, smoothing)),
    )


def _on_grid(track: FaceTrack, rate: FrameRate) -> Gridded:
    """Weights, lips, angles and positions of the head, at equal distances in time, `[frames, 52 + 1 + 3 + 3]`."""
    head = head_motion(track.poses)
    assert head.positions is not None  # MediaPipe measures them
    columns = [track.weights, track.lips[:, None], head.angles, head.positions]
    times = track.times
    if rate.is_constant:  # time stamps are rounded: the pictures are at their places
        times = times[0] + np.arange(len(times)) / float(rate.fps)
    return on_grid(times, np.concatenate(columns, axis=1).astype(np.float64), rate.fps)


def _no_face(num_pictures: int, film: Film) -> UserError:
    if num_pictures < _FEWEST_PICTURES:
        return FileFormatError(f"holds {num_pictures} pictures only", path=film.path, hint="Give a film of speech.")
    return UserError(
        f"no face is seen in any of its {num_pictures} pictures of {film.width} x {film.height} pixels",
        path=film.path,
        hint="The face must be upright, lit, at least a tenth of the picture high, and seen from the front. A picture "
        "that lies on its side needs the rotation of its camera: export the film from the program that plays it right.",
    )


def _digest(film: Film, model: Path) -> str:
    """A checksum of all that measurements depend on."""
    status = film.path.stat()
    parts = (TRACK_FORMAT, version("mediapipe"), file_sha256(model), film.path.name, status.st_size, status.st_mtime_ns)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _films(source: Path) -> list[Path]:
    """The films in a file or folder."""
    if not source.exists():
        raise missing_file("there is no such film", source, "Give films, or a folder of films.")
    if source.is_file():
        return [source]
    found = sorted(
        path for path in source.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise UserError("holds no films", path=source, hint=f"Films have one of the endings {', '.join(SUFFIXES)}.")
    return found


def _seconds(text: str | None) -> float:
    if text is None:
        return SMOOTHING_SECONDS
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _SMOOTHEST_SECONDS:
        raise UserError(
            f"--smoothing is {text!r}",
            hint=f"Give seconds from 0 (none) to {_SMOOTHEST_SECONDS:g}; the default is {SMOOTHING_SECONDS:g}.",
        )
    return value


def _keeps_rest(text: str) -> bool:
    if text not in _REST:
        raise UserError(f"--rest is {text!r}", hint=f"Give one of {', '.join(_REST)}.")
    return _REST[text]
