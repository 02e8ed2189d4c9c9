"""The regression network: predicts the face in the middle of a window of audio, as PCA coefficients, given an emotion.

It has two branches: the features of a speech encoder, and the autocorrelation of short windows, which represents pitch
and voicing. Both give the same number of steps and channels; convolutions over time reduce them to one frame. Frames
are predicted independently of each other.

In training each frame has a learned *implicit emotion*, which represents what the audio does not determine, so that the
network need not average over moods; a deployed network uses the row of one frame throughout.

Usage::

    network = RegressionNetwork(RegressionSettings(...), encoder)   # asdict() and from_dict() save and load settings
    output = network(audio, emotion, norm_factor)                   # sequences of frames: training
    hidden = network.extract_hidden_states(audio)                   # once, with a frozen encoder
    output = network(audio, emotion, norm_factor, hidden)           # as often as needed
    result = ExportedRegression(network)(window, emotion)           # single frames: the exported graph

Axes: `sequence` holds consecutive frames; `channels` are the PCA coefficients of skin and tongue, jaw and eyes. Tensors
are float32. Source: the reference's network `conv_w2v_autocorr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.models.encoders import SpeechEncoder
from audio2face.models.layers import ChannelGainNoise, ChannelSizes, interpolate_rows
from audio2face.models.regression.layers import (
    WIDTH,
    AutocorrelationBranch,
    AutocorrelationSettings,
    Heads,
    PhonemeHead,
    TimeLayers,
)


class ImplicitEmotions(nn.Module):
    """A learned embedding for each frame of the training data.

    Args:
        frames: frames of all shots.
        length: width of the embedding.
        sigma: standard deviation of the initial values.
    """

    def __init__(self, frames: int, length: int, sigma: float) -> None:
        super().__init__()
        self.rows = nn.Parameter(sigma * torch.randn(frames, length))

    def forward(self, frames: Tensor) -> Tensor:
        """Looks up the embeddings `[..., length]` of frames, int64 `[...]`."""
        return functional.embedding(frames, self.rows)


class RegressionTrainingModule(nn.Module):
    """The regression network and the implicit emotions, which are trained together.

    Attributes:
        network: the network to deploy.
        emotions: the implicit emotions, of which a deployed network uses one row.
    """

    def __init__(self, network: RegressionNetwork, emotions: ImplicitEmotions) -> None:
        super().__init__()
        self.network = network
        self.emotions = emotions

    def forward(
        self,
        audio: Tensor,
        frames: Tensor,
        explicit: Tensor,
        norm_factor: Tensor | None = None,
        hidden: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Predicts the faces of frames of the training data.

        Args:
            audio: a window around each frame, `[batch, sequence, samples]`.
            frames: indices of the frames, int64 `[batch, sequence]`.
            explicit: explicit emotion, `[batch, emotions]`.
            norm_factor: divisor of the audio for autocorrelation, `[batch]`. None: 1.
            hidden: output of `extract_hidden_states` for the same audio; None: computed here.

        Returns:
            The fields of `RegressionOutput`, as a tuple, because wrappers traverse tuples but no dataclasses.
        """
        implicit = self.emotions(frames)
        spread = explicit[:, None].expand(-1, frames.shape[1], -1)
        output = self.network(audio, torch.cat([implicit, spread], dim=-1), norm_factor, hidden)
        return output.values, dict(output.phonemes), implicit


_MAX_CPU_WINDOWS = 8  # encoded at once on a CPU, so that the first layers' activations fit into its cache


@dataclass(frozen=True)
class EncoderFrames:
    """The features that the speech encoder computes for one window.

    Attributes:
        width: features per step.
        count: number of steps.
        first_step: time of the first step after the first sample, in seconds.
        step: seconds from one step to the next.
    """

    width: int
    count: int
    first_step: float
    step: float

    @classmethod
    def from_encoder(cls, encoder: SpeechEncoder, samples: int) -> EncoderFrames:
        """Describes the features of an encoder for a window of `samples` samples."""
        info = encoder.info
        return cls(info.width, info.steps(samples), info.first_step_seconds, info.step_seconds)


@dataclass(frozen=True, kw_only=True)
class RegressionSettings:
    """The hyperparameters of the network and the meaning of its inputs; saved with every checkpoint.

    Attributes:
        skin_size: PCA components of the skin.
        tongue_size: PCA components of the tongue.
        jaw_size: channels of the jaw, 3 per key point.
        eye_size: rotations of the eyes.
        emotions: number of emotions besides neutral, which is all zeros; at least one.
        implicit_emotion_len: width of the implicit emotion.
        explicit_emo_emb_len: width of the embedding of the explicit emotion.
        samples: length of a window.
        samplerate: samples per second.
        speech: features of the speech encoder; None: the network has no speech branch.
        autocorrelation: settings of the autocorrelation; its windows are the network's steps.
        use_autocorrelation: adds the autocorrelation branch.
        phonemes: number of phonemes by language; empty: the network has no phoneme head.
    """

    skin_size: int
    tongue_size: int
    jaw_size: int
    eye_size: int
    emotions: int
    implicit_emotion_len: int
    explicit_emo_emb_len: int
    samples: int
    samplerate: int
    speech: EncoderFrames | None
    autocorrelation: AutocorrelationSettings
    use_autocorrelation: bool
    phonemes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.speech is None and not self.use_autocorrelation:
            raise ValueError("the network needs an input: speech features, autocorrelation, or both")
        if self.autocorrelation.num_samples > self.samples:
            raise ValueError(
                f"autocorrelation needs {self.autocorrelation.num_samples} samples, but a window has {self.samples}"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RegressionSettings:
        """Makes settings from the output of `dataclasses.asdict`."""
        speech = values["speech"]
        nested = {
            "speech": None if speech is None else EncoderFrames(**speech),
            "autocorrelation": AutocorrelationSettings(**values["autocorrelation"]),
        }
        return cls(**{**values, **nested})

    @property
    def sizes(self) -> ChannelSizes:
        """Channels of each group of a frame."""
        return ChannelSizes(self.skin_size, self.tongue_size, self.jaw_size, self.eye_size)

    @property
    def emotion_size(self) -> int:
        """Width of the emotion input: implicit, then explicit."""
        return self.implicit_emotion_len + self.emotions

    @property
    def steps(self) -> int:
        """Steps of time in a window."""
        return self.autocorrelation.num_windows

    def step_positions(self) -> Tensor | None:
        """Computes the positions of the network's steps in steps of the encoder, float32 `[steps]`.

        Each step is at the middle of a window of autocorrelation. None where encoder and network have equally many
        steps: they are paired one to one then, as in the reference with wav2vec 2.0, whose steps are 7.5 ms earlier.
        """
        if self.speech is None or self.speech.count == self.steps:
            return None
        cut = self.autocorrelation
        middles = torch.arange(cut.num_windows, dtype=torch.float64) * cut.win_stride + cut.win_len / 2
        positions = (middles / self.samplerate - self.speech.first_step) / self.speech.step
        return positions.float()


@dataclass(frozen=True)
class RegressionOutput:
    """The output of the network.

    Attributes:
        values: `[batch, sequence, channels]`.
        phonemes: logits by language, `[batch, sequence, steps, phonemes]`; empty in evaluation mode.
        implicit: the implicit emotions of the input, `[batch, sequence, implicit_emotion_len]`.
    """

    values: Tensor
    phonemes: Mapping[str, Tensor]
    implicit: Tensor


class RegressionNetwork(nn.Module):
    """Predicts the face in the middle of each window of audio.

    Args:
        settings: hyperparameters.
        encoder: extracts the speech features; None without a speech branch.
    """

    def __init__(self, settings: RegressionSettings, encoder: SpeechEncoder | None) -> None:
        super().__init__()
        if (encoder is None) != (settings.speech is None):
            raise ValueError("settings.speech and the encoder are given together or not at all")
        self.settings = settings
        self.encoder = encoder
        self.speech = None if settings.speech is None else _SpeechBranch(settings)
        self.autocorrelation = AutocorrelationBranch(settings.autocorrelation) if settings.use_autocorrelation else None
        self.explicit_emotion = nn.Linear(settings.emotions, settings.explicit_emo_emb_len)
        branches = (self.speech is not None) + (self.autocorrelation is not None)
        emotion = settings.implicit_emotion_len + settings.explicit_emo_emb_len
        self.time = TimeLayers(branches * WIDTH, emotion, settings.steps)
        self.heads = Heads(WIDTH + emotion, settings.sizes)
        self.phonemes = PhonemeHead(settings.phonemes) if settings.phonemes and self.speech is not None else None

    def forward(
        self, audio: Tensor, emotion: Tensor, norm_factor: Tensor | None = None, hidden: Tensor | None = None
    ) -> RegressionOutput:
        """Predicts faces.

        Args:
            audio: a window around each frame, `[batch, sequence, samples]`.
            emotion: implicit emotion, then explicit, `[batch, sequence, emotion_size]`.
            norm_factor: divisor of the audio for autocorrelation, `[batch]`. None: 1, as when deployed.
            hidden: output of `extract_hidden_states` for the same audio; None: computed here.
        """
        batch, sequence = audio.shape[:2]
        windows = audio.flatten(0, 1)
        branches, phonemes = [], {}
        if self.speech is not None:
            speech = self.speech(self._features(windows, hidden))
            branches.append(speech)
            if self.phonemes is not None and self.training:
                phonemes = self.phonemes(speech, sequence)
        if self.autocorrelation is not None:
            if norm_factor is not None:
                windows = windows / norm_factor.repeat_interleave(sequence)[:, None]
            branches.append(self.autocorrelation(windows, sequence))
        values = self.heads(self.time(torch.cat(branches, dim=1), self._embed(emotion.flatten(0, 1)), sequence))
        return RegressionOutput(
            values.unflatten(0, (batch, sequence)),
            {language: logits.unflatten(0, (batch, sequence)) for language, logits in phonemes.items()},
            emotion[..., : self.settings.implicit_emotion_len],
        )

    @torch.no_grad()
    def extract_hidden_states(self, audio: Tensor) -> Tensor:
        """Computes the hidden layers of a frozen encoder; with dropout in training mode.

        Args:
            audio: `[..., samples]`.

        Returns:
            `[layers, windows, steps, features]`, the leading axes of `audio` flattened.
        """
        assert self.encoder is not None
        windows = audio.flatten(0, -2)
        at_once = _MAX_CPU_WINDOWS if audio.device.type == "cpu" else len(windows)
        return torch.cat([self.encoder.hidden_layers(chunk) for chunk in torch.split(windows, at_once)], dim=1)

    @property
    def encoder_is_trainable(self) -> bool:
        """Whether parameters of the encoder, beyond the combination of its layers, are trained."""
        if self.encoder is None:
            return False
        return any(
            weight.requires_grad and not name.startswith("combine.") for name, weight in self.encoder.named_parameters()
        )

    def set_noise_generator(self, generator: torch.Generator) -> None:
        """Sets the CPU generator of all gain noise."""
        for module in self.modules():
            if isinstance(module, ChannelGainNoise):
                module.generator = generator

    def _features(self, windows: Tensor, hidden: Tensor | None) -> Tensor:
        """Computes the features of windows, `[batch * sequence, steps, width]`."""
        assert self.encoder is not None
        if hidden is None and self.training and not self.encoder_is_trainable:
            hidden = self.extract_hidden_states(windows)
        features: Tensor = self.encoder(windows) if hidden is None else self.encoder.combine_hidden(hidden)
        return features

    def _embed(self, emotion: Tensor) -> Tensor:
        sizes = [self.settings.implicit_emotion_len, self.settings.emotions]
        implicit, explicit = torch.split(emotion, sizes, dim=-1)
        return torch.cat([implicit, self.explicit_emotion(explicit)], dim=-1)


class ExportedRegression(nn.Module):
    """The exported form of the network: one frame per window, audio at its original level.

    Args:
        network: the network; it is set to evaluation mode.
    """

    def __init__(self, network: RegressionNetwork) -> None:
        super().__init__()
        self.network = network
        self.eval()  # this module too: exporters restore the mode of the outermost module everywhere

    def forward(self, window: Tensor, emotion: Tensor) -> Tensor:
        """Maps windows `[batch, 1, samples]` and emotions `[batch, 1, emotion_size]` to `[batch, 1, channels]`."""
        output: RegressionOutput = self.network(window, emotion)
        return output.values


class _SpeechBranch(nn.Module):
    """Resamples the encoder's steps and projects them: `[windows, steps, width]` to `[windows, 256, steps]`."""

    positions: Tensor | None

    def __init__(self, settings: RegressionSettings) -> None:
        super().__init__()
        assert settings.speech is not None
        self.projection = nn.Linear(settings.speech.width, WIDTH)
        self.register_buffer("positions", settings.step_positions(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        if self.positions is not None:
            features = interpolate_rows(features, self.positions)
        return torch.relu(self.projection(features)).transpose(1, 2)
