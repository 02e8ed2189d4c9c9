"""Decodes the audio tracks of films and compressed recordings through FFmpeg, aligned in time to the sample."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio2face.audio.edit_list import TimedEdit, read_edit_lists
from audio2face.audio.framing import stated_samples
from audio2face.audio.media_frames import (
    MATROSKA,
    MOV,
    FrameConverter,
    FrameReader,
    converted_errors,
    log_track_choice,
    open_container,
    select_track,
)
from audio2face.audio.timeline import WHOLE, Decoded, Edit, Samples, contiguous, presented
from audio2face.errors import FileFormatError, UserError

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream
    from av.container import InputContainer


class PatchedFile(io.RawIOBase):
    """Reads a file with some bytes replaced, for headers that a program left unfinished.

    Args:
        path: the file.
        replaced: replacement bytes by position.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, replaced: Mapping[int, bytes]) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._replaced = dict(replaced)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seeks to a position in bytes."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Returns the position in bytes."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer from the current position; returns the number of bytes read."""
        start = self._file.tell()
        view = memoryview(buffer).cast("B")
        count = self._file.readinto(view)
        for at, data in self._replaced.items():
            first, last = max(at, start), min(at + len(data), start + count)
            if first < last:
                view[first - start : last - start] = data[first - at : last - at]
        return count

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()


# Containers whose time stamps show gaps in the audio. Raw streams have none, and AVI counts packets.
_TIMED = (MOV, MATROSKA, "mpegts", "mpeg", "flv", "asf", "mxf")
_TIMED_AT_THE_START = (*_TIMED, "avi", "ogg", "nut", "dv", "rm", "wtv", "gxf")
_MAY_JUMP = ("mpegts", "mpeg", "flv", "asf")  # the clock may be reset within the file
_MAX_JUMP_SECONDS = 10
_LIVE_SECONDS = 60  # maximum silence at the start; above it, a segment of a live stream whose clock started earlier
_MISSING_SECONDS = 0.25  # relative to the length in a track's header; rounding is far below
_MICROSECONDS = 1_000_000  # FFmpeg's unit of the duration of containers
_LAYERS = {"mp1": "MPEG_LAYER_I", "mp2": "MPEG_LAYER_II", "mp3": "MPEG_LAYER_III"}
_LOSSLESS = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_32", "s64": "DOUBLE", "flt": "FLOAT", "dbl": "DOUBLE"}


@dataclass(frozen=True)
class MediaTrack:
    """The audio track of a container and its position in time.

    Attributes:
        path: the file.
        container: FFmpeg's name of its format.
        samplerate: in Hz, of the first frame; frames of another rate are resampled.
        num_channels: 1, 2, or the number of channels of a track without known loudspeaker positions.
        subtype: libsndfile's name for lossless audio, such as "PCM_16"; else the codec, such as "AAC", "OPUS" or
            "MPEG_LAYER_III".
        origin: time stamp in seconds that is position 0 of the edits.
        edits: the ranges to present, and when.
        stated_duration: length in seconds stated by the header, including padding; None if missing or unreliable.
    """

    path: Path
    container: str
    samplerate: int
    num_channels: int
    subtype: str
    origin: Fraction
    edits: tuple[Edit, ...]
    stated_duration: Fraction | None

    def samples(self) -> Iterator[Samples]:
        """Decodes the track: float32 `[samples, channels]`, full scale 1, concatenated from time 0 on.

        Raises:
            FileFormatError: the file is damaged or cut off; the message gives the time in seconds.
            UserError: its edit list jumps back too often.
        """
        max_jump = _MAX_JUMP_SECONDS * self.samplerate if self.container in _MAY_JUMP else None
        try:
            yield from presented(lambda: contiguous(self._decoded(), self.samplerate, max_jump), self.edits)
        except UserError as error:
            if error.path is not None:
                raise
            raise UserError(error.problem, path=self.path, hint=error.hint) from error

    def _decoded(self) -> Iterator[Decoded]:
        """Decodes the file once. The last frame of MP4 files is cut to its duration, which excludes padding."""
        convert = FrameConverter(self.samplerate, self.num_channels)
        with converted_errors(self.path), open_container(self.path) as container:
            track = select_track(container, self.path)
            last: Decoded | None = None
            claimed: int | None = None
            count = 0
            for number, frame in enumerate(FrameReader["AudioFrame"](container, track, self.path)):
                if last is not None:
                    yield last
                    count += len(last.samples)
                last, claimed = Decoded(convert(frame), self._position(frame, number)), self._claimed(frame)
            if last is None:
                return
            if claimed is not None and 0 < claimed < len(last.samples):
                last = Decoded(last.samples[:claimed], last.position)
            self._check_end((count if last.position is None else last.position) + len(last.samples))
            yield last

    def _position(self, frame: AudioFrame, number: int) -> int | None:
        is_timed = self.container in (_TIMED if number else _TIMED_AT_THE_START)
        if not is_timed or frame.pts is None or frame.time_base is None:
            return None
        return round((frame.pts * frame.time_base - self.origin) * self.samplerate)

    def _claimed(self, frame: AudioFrame) -> int | None:
        """Returns the number of samples that a frame presents by its duration, which is exact in MP4 files only."""
        if self.container != MOV or not frame.duration or frame.time_base is None:
            return None
        return round(frame.duration * frame.time_base * self.samplerate)

    def _check_end(self, end: int) -> None:
        """Refuses a track that decodes to less than the length in its header.

        Args:
            end: position after the last sample, or number of samples in a container without a clock.
        """
        found = Fraction(end, self.samplerate)
        if self.stated_duration is not None and self.stated_duration - found > _MISSING_SECONDS:
            raise FileFormatError(
                f"the audio ends at {float(found):.2f} s, the header states {float(self.stated_duration):.2f} s",
                path=self.path,
                hint="The file was cut off or is damaged: copy or export it again.",
            )


def open_track(path: Path) -> MediaTrack:
    """Inspects a film or a compressed recording: its audio track, the format of the first frame, its position in time.

    Raises:
        UserError: it has no audio track, or none that can be decoded.
        FileFormatError: it is not such a file, or is damaged.
    """
    with converted_errors(path), open_container(path) as container:
        track = select_track(container, path)
        log_track_choice(container, track, path)
        kind = container.format.name
        reader = FrameReader["AudioFrame"](container, track, path)
        frame = next(iter(reader), None)
        if frame is None:
            raise FileFormatError("the file holds no samples", path=path)
        convert = FrameConverter(frame.sample_rate)
        num_channels = convert(frame).shape[1]
        edits = read_edit_lists(path).get(track.id, ()) if kind == MOV else ()
        origin = Fraction(0) if edits else _origin(container, track, frame, reader.first_pts)
        return MediaTrack(
            path=path,
            container=kind,
            samplerate=frame.sample_rate,
            num_channels=num_channels,
            subtype=_subtype(track, frame),
            origin=origin,
            edits=_in_samples(edits, frame.sample_rate) or _whole(container),
            stated_duration=_stated_duration(container, track, frame.sample_rate, origin, path),
        )


def _stated_duration(
    container: InputContainer, track: AudioStream, rate: int, origin: Fraction, path: Path
) -> Fraction | None:
    """Returns the length in seconds stated by a header; None if it is missing or only estimated."""
    kind = container.format.name
    if kind == "mp3":
        count = stated_samples(path)
        return None if count is None else Fraction(count, rate)
    if kind == MATROSKA and len(container.streams) == 1 and container.duration is not None:
        return Fraction(container.duration, _MICROSECONDS)  # of all tracks, some of which may be longer
    if kind != MOV or track.duration is None or track.time_base is None:
        return None
    return ((track.start_time or 0) + track.duration) * track.time_base - origin


def _origin(container: InputContainer, track: AudioStream, first: AudioFrame, first_pts: int | None) -> Fraction:
    """Returns the time stamp in seconds at which a player starts, for a track without an edit list."""
    # Samples that the decoder dropped (iTunSMPB, pre-skip), or needed to start (Vorbis), take no time.
    skipped = Fraction(0)
    kind = container.format.name
    is_skipped = kind == MOV or (kind == MATROSKA and track.codec_context.codec.canonical_name == "vorbis")
    if is_skipped and first.pts is not None and first.time_base is not None:
        skipped = first.pts * first.time_base - (first_pts or 0) * Fraction(track.time_base or 0)
    return max(skipped, Fraction(0)) + presentation_start(container)


def presentation_start(container: InputContainer) -> Fraction:
    """Returns the time stamp in seconds at which a player starts, of tracks without edit list and padding."""
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.type in ("audio", "video") and stream.start_time is not None and stream.time_base is not None
        if not is_still(stream.disposition)
    ]
    earliest = min(starts, default=Fraction(0))
    is_from_zero = container.format.name in (MOV, MATROSKA) and earliest <= _LIVE_SECONDS
    return Fraction(0) if is_from_zero else earliest


def is_still(disposition: int) -> bool:
    """Whether a video track is a cover picture or thumbnails, by its disposition."""
    from av.stream import Disposition

    return bool(disposition & (Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image))


def _in_samples(edits: Iterable[TimedEdit], rate: int) -> tuple[Edit, ...]:
    found = []
    for edit in edits:
        count = None if edit.duration is None else round((edit.at + edit.duration) * rate) - round(edit.at * rate)
        found.append(Edit(round(edit.at * rate), round(edit.start * rate), count))
    return tuple(found)


def _whole(container: InputContainer) -> tuple[Edit, ...]:
    """Returns the whole track as one edit, without the padding that an iTunes tag states."""
    text = container.metadata.get("iTunSMPB", "") if container.format.name == MOV else ""
    fields = re.fullmatch(r"\s*[0-9A-Fa-f]+ [0-9A-Fa-f]+ [0-9A-Fa-f]+ ([0-9A-Fa-f]{1,16})\b.*", text, re.DOTALL)
    count = int(fields[1], 16) if fields else 0
    return (Edit(0, 0, count),) if count else (WHOLE,)


def _subtype(track: AudioStream, frame: AudioFrame) -> str:
    codec = track.codec_context.codec
    if codec.lossless and not codec.lossy:
        return _LOSSLESS.get(frame.format.name.removesuffix("p"), "DOUBLE")
    return _LAYERS.get(codec.canonical_name, codec.canonical_name.upper())
