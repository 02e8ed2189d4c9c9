"""Reads decoded frames of media containers, and mixes surround audio to stereo.

The mix is that of ITU-R BS.775, as in players with headphones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import numpy as np

from audio2face.audio.timeline import Samples
from audio2face.console import LOGGER
from audio2face.errors import FileFormatError, UserError
from audio2face.extras import require
from audio2face.types import Float32Array

if TYPE_CHECKING:
    from av import AudioFrame, AudioResampler, AudioStream, Packet, VideoFrame, VideoStream
    from av.container import InputContainer
    from av.stream import Stream

Frame = TypeVar("Frame", bound="AudioFrame | VideoFrame")

_HALF_POWER = 0.5**0.5
_LEFT = ("FL", "DL", "WL")
_LEFT_BEHIND = ("SL", "BL", "FLC", "SDL", "TFL", "TBL", "TSL")
_RIGHT = ("FR", "DR", "WR")
_RIGHT_BEHIND = ("SR", "BR", "FRC", "SDR", "TFR", "TBR", "TSR")
_CENTRE = ("FC", "BFC")
_CENTRE_BEHIND = ("BC", "TC", "TFC", "TBC")
_WEIGHTS = (
    dict.fromkeys(_LEFT, (1.0, 0.0))
    | dict.fromkeys(_RIGHT, (0.0, 1.0))
    | dict.fromkeys(_LEFT_BEHIND, (_HALF_POWER, 0.0))
    | dict.fromkeys(_RIGHT_BEHIND, (0.0, _HALF_POWER))
    | dict.fromkeys(_CENTRE, (_HALF_POWER, _HALF_POWER))
    | dict.fromkeys(_CENTRE_BEHIND, (0.5, 0.5))
    | dict.fromkeys(("LFE", "LFE2"), (0.0, 0.0))
)


def stereo_weights(speakers: Sequence[str]) -> Float32Array | None:
    """Computes the weights of a track's channels in the left and right channel of the mix.

    Args:
        speakers: the loudspeaker of each channel in FFmpeg's notation, such as "FL", "FC" and "LFE".

    Returns:
        Float32 [channels, 2], scaled so that a mix stays within full scale; None for one or two channels, and for
        unknown loudspeakers, which are channels of microphones.
    """
    if len(speakers) <= 2 or not all(speaker in _WEIGHTS for speaker in speakers):
        return None
    weights = np.array([_WEIGHTS[speaker] for speaker in speakers], np.float32)
    loudest = float(weights.sum(axis=0).max())
    return weights / loudest if loudest else None


def as_channels(samples: Float32Array, num_channels: int) -> Float32Array:
    """Returns samples `[samples, channels]` with `num_channels` channels; if the number differs, each is their mean."""
    if samples.shape[1] == num_channels:
        return samples
    return np.repeat(samples.mean(axis=1, keepdims=True, dtype=np.float32), num_channels, axis=1)


MOV, MATROSKA = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"
# Playlists, manifests and pictures are excluded: they open other files, and addresses on the network.
_FORMATS = (
    f"{MOV},{MATROSKA},mpegts,mpeg,avi,flv,asf,mxf,dv,ogg,aac,loas,mp3,ac3,eac3,dts,amr,amrnb,amrwb,caf,wav,w64,"
    "aiff,au,flac,ape,wv,tta,truehd,mlp,voc,rm,nut,wtv,gxf"
)
# May be concatenated and split at any byte, so that a frame is broken at either end.
_STREAMS = ("mpegts", "mpeg", "mp3", "aac", "loas", "ac3", "eac3", "dts", "amr", "amrnb", "amrwb")
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICS")  # between the frames of joined MP3 files
_MAX_CHANNELS = 64
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Opens a film or a compressed recording.

    Raises:
        FileFormatError: it is not such a file, or is damaged.
    """
    with converted_errors(path):
        import av  # takes half a second to load

        # `edit_list` applies edit lists, to the sample.
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file", "ignore_editlist": "1"}
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    with container:
        yield container


@contextmanager
def converted_errors(path: Path) -> Iterator[None]:
    """Converts errors of the video library and the system on bad files to this project's error type."""
    kind = f"a recording of the kind {path.suffix!r}" if path.suffix else "a recording of this kind"
    require(kind, "video", modules=("av",))
    import av

    try:
        yield
    except UserError:
        raise
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, av.ArgumentError):  # a format that FFmpeg recognises and `_FORMATS` excludes
            reason = "it is a playlist, a picture or another kind of file without audio of its own"
        raise FileFormatError(
            f"cannot be read as audio or video: {reason}",
            path=path,
            hint="Play it to check that it is complete; export its audio as a WAV file with 16 or 24 bits per sample.",
        ) from error


def select_track(container: InputContainer, path: Path) -> AudioStream:
    """Selects the audio track as players do: the default one, else the first, excluding commentary and similar tracks.

    Raises:
        UserError: no track can be decoded.
    """
    from av.stream import Disposition

    aside = Disposition.comment | Disposition.visual_impaired | Disposition.clean_effects | Disposition.karaoke
    tracks = list(container.streams.audio)
    usable = [track for track in tracks if track.codec_context is not None]
    if not tracks:
        kinds = sorted({stream.type for stream in container.streams if stream.type})
        raise UserError(
            f"has no audio track: it contains {' and '.join(kinds) or 'nothing'} only",
            path=path,
            hint="Give the recording that belongs to it, or export the film with its audio.",
        )
    if not usable:
        raise UserError(
            "its audio is in a codec that the video library cannot decode",
            path=path,
            hint="Export its audio as a WAV file.",
        )
    return min(
        usable,
        key=lambda track: (bool(track.disposition & aside), not track.disposition & Disposition.default, track.index),
    )


def log_track_choice(container: InputContainer, track: AudioStream, path: Path) -> None:
    """Logs which of several audio tracks is used."""
    tracks = list(container.streams.audio)
    if len(tracks) > 1:
        LOGGER.warning(
            "%s has %d audio tracks: number %d is used (%s, %s)",
            path.name,
            len(tracks),
            tracks.index(track) + 1,
            track.language if track.language and track.language.isascii() else "no language given",
            track.codec_context.name,
        )


class FrameReader(Generic[Frame]):
    """The decoded frames of an audio or video track, in order.

    Args:
        container: the open file.
        track: one of its tracks.
        path: the file, for messages.

    Attributes:
        first_pts: time stamp of the first packet in units of the track; None if it has none.
    """

    def __init__(self, container: InputContainer, track: AudioStream | VideoStream, path: Path) -> None:
        from av.codec.context import Flags2
        from av.stream import Discard

        self.first_pts: int | None = None
        self._container, self._track, self._path = container, track, path
        self._seconds = 0.0
        self._fault: str | None = None
        self._is_stream = container.format.name in _STREAMS
        for other in container.streams:
            if other.index != track.index:
                other.discard = Discard.all
        if container.format.name == "caf" and track.codec_context.name == "alac":
            # The last packet of ALAC has the exact length; FFmpeg 8 would remove the padding a second time.
            track.codec_context.flags2 |= Flags2.skip_manual

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames; empty ones are left out.

        Raises:
            FileFormatError: a packet is damaged; raw streams may have one damaged packet at either end.
        """
        has_begun = False
        for packet in self._packets():
            for frame in self._decoded(packet):
                if self._fault is not None and (has_begun or not self._is_stream):
                    raise self._damaged()
                has_begun, self._fault = True, None
                yield frame
                self._seconds += _seconds_of(frame)
        if self._fault is not None and not (self._is_stream and has_begun):
            raise self._damaged()

    def _packets(self) -> Iterator[Packet[Stream]]:
        """Yields the packets of the track; the last one is empty and flushes the decoder."""
        import av

        packets = self._container.demux(self._track)
        while True:
            try:
                packet = next(packets, None)
            except IndexError:  # a packet of a stream that the header does not list
                packets = self._container.demux(self._track)
                continue
            except av.FFmpegError as error:
                self._note(error.strerror)
                return
            if packet is None:
                return
            if self.first_pts is None:
                self.first_pts = packet.pts
            yield packet

    def _decoded(self, packet: Packet[Stream]) -> list[Frame]:
        import av

        try:
            frames = cast("list[Frame]", packet.decode())
        except (av.FFmpegError, ValueError) as error:
            if not bytes(packet).startswith(_TAGS):
                self._note(getattr(error, "strerror", None) or str(error))
            return []
        return [frame for frame in frames if not isinstance(frame, av.AudioFrame) or frame.samples]

    def _note(self, fault: str | None) -> None:
        self._fault = self._fault or fault or "unknown error"

    def _damaged(self) -> FileFormatError:
        return FileFormatError(
            f"the {self._track.type} cannot be decoded after {self._seconds:.2f} s: {self._fault}",
            path=self._path,
            hint="The file was cut off or is damaged: copy or export it again.",
        )


def _seconds_of(frame: AudioFrame | VideoFrame) -> float:
    import av

    if isinstance(frame, av.AudioFrame):
        return frame.samples / frame.sample_rate
    return float((frame.duration or 0) * (frame.time_base or 0))


class FrameConverter:
    """Converts frames to arrays of one sample rate and number of channels.

    Args:
        samplerate: in Hz.
        num_channels: number of channels of the arrays; None for that of the first frame.
    """

    def __init__(self, samplerate: int, num_channels: int | None = None) -> None:
        self.samplerate, self.num_channels = samplerate, num_channels
        self._resampler: AudioResampler | None = None
        self._resampled: tuple[object, ...] = ()  # input format of the resampler

    def __call__(self, frame: AudioFrame) -> Samples:
        """Converts a frame to float32 `[samples, channels]`, full scale 1; surround audio to two channels.

        Raises:
            ValueError: the sample format is unknown.
        """
        import av

        kind = (frame.sample_rate, frame.layout.name, frame.format.name, frame.time_base)
        frames: list[AudioFrame] = []
        if self._resampler is not None and kind != self._resampled:
            frames += self._resampler.resample(None)
            self._resampler = None
        if frame.sample_rate == self.samplerate:
            return self._mixed([*frames, frame])
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=self.samplerate)
            self._resampled = kind
        return self._mixed([*frames, *self._resampler.resample(frame)])

    def _mixed(self, frames: list[AudioFrame]) -> Samples:
        parts = []
        for frame in frames:
            samples = _samples_of(frame)
            weights = stereo_weights([channel.name for channel in frame.layout.channels])
            parts.append(samples if weights is None else samples @ weights)
        if self.num_channels is None:
            self.num_channels = parts[0].shape[1]  # of the first frame, which needs no resampling
        parts = [as_channels(part, self.num_channels) for part in parts]
        return np.concatenate(parts) if parts else np.zeros((0, self.num_channels), np.float32)


def _samples_of(frame: AudioFrame) -> Samples:
    """Returns the samples of a frame, float32 `[samples, channels]`, full scale 1."""
    num_channels = frame.layout.nb_channels
    if not 1 <= num_channels <= _MAX_CHANNELS:
        raise ValueError(f"{num_channels} channels: expected 1 to {_MAX_CHANNELS}")
    coding = frame.format.name.removesuffix("p")
    if coding not in _FULL_SCALE:
        raise ValueError(f"samples are coded as {frame.format.name}")
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, num_channels)
    if coding == "u8":
        values = values.astype(np.int16) - 128
    return np.ascontiguousarray(values / _FULL_SCALE[coding] if _FULL_SCALE[coding] != 1.0 else values, np.float32)
