"""`network_info.json` of a diffusion network."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from audio2face.audio.resample import Resampler
from audio2face.errors import FILE_LABEL_WORDS, UserError, is_file_label, is_identifier
from audio2face.model_folder.network_info import (
    ACTOR_WORDS,
    MAX_FRAMES,
    MAX_SAMPLES,
    MAX_WIDTH,
    SAMPLERATES,
    NetworkInfo,
    TensorShape,
    read_eyes,
    read_identity,
    read_names,
    read_resampler,
    read_triples,
)
from audio2face.model_folder.validation import JsonObject
from audio2face.models.windows import WindowSchedule

_MAX_VALUES = 1 << 28  # of a window's noise: 1 GB
_MAX_FPS = 1_000  # frames per second


@dataclass(frozen=True, kw_only=True)
class DiffusionInfo(NetworkInfo):
    """Contents of `network_info.json` of a diffusion network.

    Attributes:
        actor: the actor's name, or "multi".
        version: version of the model, for display.
        emotions: names of the emotion input's values.
        default_emotion: default emotion, one value per name.
        identities: names of the identity input's values.
        skin_size: channels of the skin, three per vertex.
        tongue_size: channels of the tongue, three per vertex.
        jaw_size: channels of the jaw, three per key point.
        eyes_size: channels of the eyes.
        num_diffusion_steps: denoising steps in the graph.
        num_gru_layers: layers of the recurrent part.
        gru_latent_dim: width of the hidden state.
        num_frames_left_truncate: context frames of a window before those used.
        num_frames_right_truncate: context frames after them.
        num_frames_center: frames used.
        buffer_len: samples of a window.
        padding_left: samples of silence before the first window.
        padding_right: samples of silence after the last.
        samplerate: Hz.
        resampler: filter for audio of other rates.
    """

    type = "diffusion"

    actor: str
    version: str
    emotions: tuple[str, ...]
    default_emotion: tuple[float, ...]
    identities: tuple[str, ...]
    skin_size: int
    tongue_size: int
    jaw_size: int
    eyes_size: int
    num_diffusion_steps: int
    num_gru_layers: int
    gru_latent_dim: int
    num_frames_left_truncate: int
    num_frames_right_truncate: int
    num_frames_center: int
    buffer_len: int
    padding_left: int
    padding_right: int
    samplerate: int
    resampler: Resampler = "hann"

    @property
    def frames(self) -> int:
        """Frames that a window spans."""
        return self.num_frames_left_truncate + self.num_frames_center + self.num_frames_right_truncate

    @property
    def channel_sizes(self) -> tuple[int, int, int, int]:
        """Number of channels of skin, tongue, jaw and eyes, in this order."""
        return self.skin_size, self.tongue_size, self.jaw_size, self.eyes_size

    @property
    def fps(self) -> Fraction:
        """Frames per second, given by the window."""
        return Fraction(self.frames * self.samplerate, self.buffer_len)

    @property
    def native_fps(self) -> Fraction:
        """Frames per second, given by the window."""
        return self.fps

    def windows(self, fps: Fraction | None = None) -> WindowSchedule:
        """The windows that audio is cut into.

        Args:
            fps: frames per second that are asked for; None: the network's own, which are the only ones.

        Raises:
            UserError: the network has another rate, or it would give no first frame of a recording.
        """
        if fps not in (None, self.fps):
            raise UserError(f"the network gives {self.fps} frames per second, it cannot give {fps}")
        return WindowSchedule.divided(
            window=self.buffer_len,
            left_context=self.num_frames_left_truncate,
            hop=self.num_frames_center,
            right_context=self.num_frames_right_truncate,
            padding=self.padding_left,
            samplerate=self.samplerate,
        ).require_beginning()

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """Shape of the noise of a window, `[steps + 1, frames, channels]`."""
        return self.num_diffusion_steps + 1, self.frames, self.values

    @property
    def skin_verts(self) -> int:
        """Number of vertices of the skin."""
        return self.skin_size // 3

    @property
    def tongue_verts(self) -> int:
        """Number of vertices of the tongue."""
        return self.tongue_size // 3

    @property
    def inputs(self) -> tuple[TensorShape, ...]:
        """The graph's inputs, in order."""
        latents = self._latents("input_latents")
        return (
            TensorShape("window", (None, self.buffer_len)),
            TensorShape("identity", (None, len(self.identities))),
            TensorShape("emotion", (None, self.num_frames_center, len(self.emotions))),
            latents,
            TensorShape("noise", (None, *self.noise_shape)),
        )

    @property
    def outputs(self) -> tuple[TensorShape, ...]:
        """The graph's outputs, in order."""
        return TensorShape("prediction", (None, self.frames, self.values)), self._latents("output_latents")

    def _latents(self, name: str) -> TensorShape:
        return TensorShape(name, (self.num_diffusion_steps, self.num_gru_layers, None, self.gru_latent_dim))

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        audio = ("buffer_len", "padding_left", "padding_right", "samplerate", "resampler")
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {
            "id": {"type": self.type, "actor": self.actor, "version": self.version, "output": "geometry"},
            "params": {key: value for key, value in values.items() if key not in ("actor", "version", *audio)},
            "audio_params": {key: values[key] for key in audio},
        }

    @classmethod
    def read(cls, file: JsonObject) -> DiffusionInfo:
        """Reads the file; reports invalid values."""
        actor, version = read_identity(file, cls.type)
        params, audio = file.child("params"), file.child("audio_params")
        emotions = read_names(params, "emotions", is_file_label, FILE_LABEL_WORDS)
        info = cls(
            actor=actor,
            version=version,
            emotions=emotions,
            default_emotion=params.numbers("default_emotion", len(emotions), 0, 1),
            identities=read_names(params, "identities", is_identifier, ACTOR_WORDS),
            skin_size=read_triples(params, "skin_size"),
            tongue_size=read_triples(params, "tongue_size"),
            jaw_size=read_triples(params, "jaw_size"),
            eyes_size=read_eyes(params, "eyes_size"),
            num_diffusion_steps=params.count("num_diffusion_steps", 1, MAX_FRAMES),
            num_gru_layers=params.count("num_gru_layers", 1, MAX_WIDTH),
            gru_latent_dim=params.count("gru_latent_dim", 1, MAX_WIDTH),
            num_frames_left_truncate=params.count("num_frames_left_truncate", 0, MAX_FRAMES),
            num_frames_right_truncate=params.count("num_frames_right_truncate", 0, MAX_FRAMES),
            num_frames_center=params.count("num_frames_center", 1, MAX_FRAMES),
            buffer_len=audio.count("buffer_len", 1, MAX_SAMPLES),
            padding_left=audio.count("padding_left", 0, MAX_SAMPLES),
            padding_right=audio.count("padding_right", 0, MAX_SAMPLES),
            samplerate=audio.count("samplerate", *SAMPLERATES),
            resampler=read_resampler(audio),
        )
        if params.values is not None and audio.values is not None and file.faults.is_sound:
            info._note_window(file)
        return info

    def _note_window(self, file: JsonObject) -> None:
        """Reports a window that the SDK cannot process."""
        noise = (self.num_diffusion_steps + 1) * self.frames * self.values
        latents = self.num_diffusion_steps * self.num_gru_layers * self.gru_latent_dim
        if noise % 2:
            file.faults.error(
                f"the noise of a window has {noise} values; the SDK's generator gives even numbers only",
                "Train with an even number of frames in a window.",
            )
        if max(noise, latents) > _MAX_VALUES:
            file.faults.error(
                f"a window takes {max(noise, latents)} values, more than {_MAX_VALUES}",
                "Correct the sizes under params.",
            )
        if not 1 <= self.fps <= _MAX_FPS:
            file.faults.error(
                f"{self.frames} frames in {self.buffer_len} samples at {self.samplerate} Hz are "
                f"{float(self.fps):.6g} frames per second, expected 1 to {_MAX_FPS}",
                "Correct the numbers of frames, buffer_len or samplerate.",
            )
