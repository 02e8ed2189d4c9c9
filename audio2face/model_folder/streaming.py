"""`network_info.json` of a streaming network, whose graph makes one frame from a window of samples and a state."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from audio2face.audio.mel import MEL_RATE
from audio2face.audio.resample import Resampler
from audio2face.config_base.types import STREAMING_RATES
from audio2face.errors import FILE_LABEL_WORDS, UserError, is_file_label, is_identifier
from audio2face.model_folder.network_info import (
    ACTOR_WORDS,
    MAX_SAMPLES,
    MAX_VERTS,
    MAX_WIDTH,
    NetworkInfo,
    TensorShape,
    read_eyes,
    read_identity,
    read_names,
    read_resampler,
    read_triples,
)
from audio2face.model_folder.validation import JsonObject
from audio2face.models.streaming.timing import StepTiming
from audio2face.models.windows import WindowSchedule

CONFORMANCE_FILE = "conformance.npz"  # inputs and results of consecutive steps, for checking a port
_SIZES = ("num_shapes_skin", "num_shapes_tongue", "num_verts_skin", "num_verts_tongue")
_MOST_LOOK_AHEAD = 1_000  # frames


@dataclass(frozen=True, kw_only=True)
class StreamingInfo(NetworkInfo):
    """Contents of `network_info.json` of a streaming network.

    Attributes:
        actor: the actor's name, or "multi".
        version: version of the model, for display.
        emotions: names of the emotion input's values.
        default_emotion: default emotion, one value per name.
        identities: names of the identity input's values.
        num_shapes_skin: components of the skin.
        num_shapes_tongue: components of the tongue.
        num_verts_skin: vertices of the skin.
        num_verts_tongue: vertices of the tongue.
        jaw_size: channels of the jaw, three per key point.
        eyes_size: channels of the eyes.
        fps: frames per second.
        look_ahead_frames: frames from the time of a frame to the last sample that it depends on.
        state_size: values of the state.
        resampler: filter for audio of other rates.
        samplerate: Hz.
    """

    type = "streaming"
    applies_input_strength = True
    predicts_coefficients = True
    runs_in_sdk = False
    extra_files = (CONFORMANCE_FILE,)
    frame_moment = Fraction(0)

    actor: str
    version: str
    emotions: tuple[str, ...]
    default_emotion: tuple[float, ...]
    identities: tuple[str, ...]
    num_shapes_skin: int
    num_shapes_tongue: int
    num_verts_skin: int
    num_verts_tongue: int
    jaw_size: int
    eyes_size: int
    fps: float
    look_ahead_frames: int
    state_size: int
    resampler: Resampler = "hann"
    samplerate: int = MEL_RATE

    @property
    def skin_verts(self) -> int:
        """Number of vertices of the skin."""
        return self.num_verts_skin

    @property
    def tongue_verts(self) -> int:
        """Number of vertices of the tongue."""
        return self.num_verts_tongue

    @property
    def channel_sizes(self) -> tuple[int, int, int, int]:
        """Number of channels of skin, tongue, jaw and eyes, in this order."""
        return self.num_shapes_skin, self.num_shapes_tongue, self.jaw_size, self.eyes_size

    @property
    def timing(self) -> StepTiming:
        """The samples of each step."""
        return StepTiming(Fraction(self.fps), self.look_ahead_frames)

    @property
    def buffer_len(self) -> int:  # type: ignore[override]
        """Samples of a window."""
        return self.timing.window

    @property
    def native_fps(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.fps)

    def windows(self, fps: Fraction | None = None) -> WindowSchedule:
        """The windows that audio is cut into, one for each frame.

        Args:
            fps: frames per second that are asked for; None: the network's own, which are the only ones.

        Raises:
            UserError: the network has another rate.
        """
        if fps not in (None, self.native_fps):
            raise UserError(f"the network gives {self.fps:g} frames per second, it cannot give {fps}")
        return self.timing.schedule()

    @property
    def inputs(self) -> tuple[TensorShape, ...]:
        """The graph's inputs, in order."""
        return (
            TensorShape("window", (None, self.buffer_len)),
            TensorShape("identity", (None, len(self.identities))),
            TensorShape("emotion", (None, len(self.emotions))),
            TensorShape("state", (None, self.state_size)),
        )

    @property
    def outputs(self) -> tuple[TensorShape, ...]:
        """The graph's outputs, in order."""
        return TensorShape("result", (None, 1, self.values)), TensorShape("next_state", (None, self.state_size))

    def as_json(self) -> dict[str, Any]:
        """The content of the file; "schedule" and "result" follow from the rest, for readers of other languages."""
        schedule = self.windows()
        ends = [sum(self.channel_sizes[: part + 1]) for part in range(4)]
        names = ("skin_coefficients", "tongue_coefficients", "jaw_centimetres", "eyes_degrees")
        spans = {name: [end - size, end] for name, size, end in zip(names, self.channel_sizes, ends, strict=True)}
        return {
            "id": {"type": self.type, "actor": self.actor, "version": self.version, "output": "geometry"},
            "params": {
                "emotions": list(self.emotions),
                "default_emotion": list(self.default_emotion),
                "identities": list(self.identities),
                **{name: getattr(self, name) for name in _SIZES},
                "jaw_size": self.jaw_size,
                "eyes_size": self.eyes_size,
                "fps": self.fps,
                "look_ahead_frames": self.look_ahead_frames,
                "state_size": self.state_size,
            },
            "audio_params": {
                "buffer_len": self.buffer_len,
                "samplerate": self.samplerate,
                "resampler": self.resampler,
            },
            "schedule": {
                "first_sample": schedule.first_sample(0),
                "samples_per_frame": str(schedule.frame_stride),
                "frames_before_the_first": schedule.lead_in_frames,
                "wait_seconds": round(schedule.lookahead / self.samplerate, 4),
            },
            "result": spans,
        }

    @classmethod
    def read(cls, file: JsonObject) -> StreamingInfo:
        """Reads the file; reports invalid values."""
        actor, version = read_identity(file, cls.type)
        params, audio = file.child("params"), file.child("audio_params")
        emotions = read_names(params, "emotions", is_file_label, FILE_LABEL_WORDS)
        fps = params.number("fps")
        if params.has("fps") and fps not in STREAMING_RATES:
            params.wrong("fps", fps, " or ".join(f"{rate:g}" for rate in STREAMING_RATES))
        info = cls(
            actor=actor,
            version=version,
            emotions=emotions,
            default_emotion=params.numbers("default_emotion", len(emotions), 0, 1),
            identities=read_names(params, "identities", is_identifier, ACTOR_WORDS),
            num_shapes_skin=params.count("num_shapes_skin", 1, MAX_WIDTH),
            num_shapes_tongue=params.count("num_shapes_tongue", 1, MAX_WIDTH),
            num_verts_skin=params.count("num_verts_skin", 1, MAX_VERTS),
            num_verts_tongue=params.count("num_verts_tongue", 1, MAX_VERTS),
            jaw_size=read_triples(params, "jaw_size"),
            eyes_size=read_eyes(params, "eyes_size"),
            fps=fps if fps in STREAMING_RATES else STREAMING_RATES[-1],
            look_ahead_frames=params.count("look_ahead_frames", 0, _MOST_LOOK_AHEAD),
            state_size=params.count("state_size", 1, MAX_WIDTH),
            resampler=read_resampler(audio),
            samplerate=audio.count("samplerate", MEL_RATE, MEL_RATE),
        )
        found = audio.count("buffer_len", 1, MAX_SAMPLES)
        if file.faults.is_sound and found != info.buffer_len:
            audio.wrong("buffer_len", found, f"{info.buffer_len} at {fps:g} frames per second")
        if file.faults.is_sound:
            info._check_derived(file)
        return info

    def _check_derived(self, file: JsonObject) -> None:
        """Reports what follows from other values, and differs: a reader in another language goes by it."""
        expected = self.as_json()
        for name in ("schedule", "result"):
            part = file.child(name)
            if part.values is None:
                continue
            for key, value in expected[name].items():
                if part.values.get(key) != value or isinstance(part.values[key], bool):
                    part.wrong(key, part.values.get(key), str(value))
