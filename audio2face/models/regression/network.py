"""The emotion that each frame of the training data has of its own: what of a face cannot be told from its sound.

The network learns with it beside it, so that it need not average over moods; a consumer picks the row of one frame and
keeps it. Knows frames by number only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.models.encoders import SpeechEncoder
from audio2face.models.layers import ChannelGainNoise, interpolate_rows
from audio2face.models.layout import ChannelSizes
from audio2face.models.regression.layers import (
    WIDTH,
    AutocorrelationBranch,
    AutocorrelationSettings,
    Heads,
    PhonemeHead,
    TimeLayers,
)


class ImplicitEmotions(nn.Module):
    """A trained row for each frame.

    Args:
        frames: frames of all shots.
        length: values of a row.
        sigma: spread of the values at the start.
    """

    def __init__(self, frames: int, length: int, sigma: float) -> None:
        super().__init__()
        self.rows = nn.Parameter(sigma * torch.randn(frames, length))

    def forward(self, frames: Tensor) -> Tensor:
        """Rows `[..., length]` of frames, int64 `[...]`."""
        return functional.embedding(frames, self.rows)


class RegressionTrainingModule(nn.Module):
    """The regression network and the implicit emotions that it is trained with.

    Attributes:
        network: what is deployed.
        emotions: of which consumers pick a row.
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
            frames: their numbers, int64 `[batch, sequence]`.
            explicit: explicit emotion, `[batch, emotions]`.
            norm_factor: see `RegressionNetwork`.
            hidden: see `RegressionNetwork`.

        Returns:
            Values and logits of phonemes, as the fields of `RegressionOutput` (in a tuple, which wrappers can look
            into), and the implicit emotions `[batch, sequence, length]`.
        """
        implicit = self.emotions(frames)
        spread = explicit[:, None].expand(-1, frames.shape[1], -1)
        output = self.network(audio, torch.cat([implicit, spread], dim=-1), norm_factor, hidden)
        return output.values, dict(output.phonemes), implicit


_WINDOWS_AT_ONCE = 8  # on a CPU: what the first layers of an encoder make of more does not stay in its cache


@dataclass(frozen=True)
class EncoderFrames:
    """The steps that the speech encoder makes of one window.

    Attributes:
        width: values of a step.
        count: steps.
        first_step: time of the first step after the first sample, in seconds.
        step: seconds from one step to the next.
    """

    width: int
    count: int
    first_step: float
    step: float

    @classmethod
    def from_encoder(cls, encoder: SpeechEncoder, samples: int) -> EncoderFrames:
        """The steps of an encoder in a window of so many samples."""
        info = encoder.info
        return cls(info.width, info.steps(samples), info.first_step_seconds, info.step_seconds)


@dataclass(frozen=True, kw_only=True)
class RegressionSettings:
    """All that determines the shapes of the network and the meaning of its inputs.

    Attributes:
        skin_size: shapes of the skin.
        tongue_size: shapes of the tongue.
        jaw_size: values of the jaw, 3 a key point.
        eye_size: rotations of the eyes.
        emotions: number of emotions besides the one that is all zeros; at least one.
        implicit_emotion_len: values of the emotion that a frame has of its own.
        explicit_emo_emb_len: values that `emotions` are turned into.
        samples: length of a window.
        samplerate: samples per second.
        speech: what the speech encoder gives; None: it is not heard.
        autocorrelation: how audio is cut into windows; its windows are the steps of the network.
        use_autocorrelation: whether autocorrelation is heard.
        phonemes: phonemes that can be told apart, by language; empty: none are named.
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
            raise ValueError("the network must hear something: speech features, autocorrelation, or both")
        if self.autocorrelation.num_samples > self.samples:
            raise ValueError(
                f"autocorrelation takes {self.autocorrelation.num_samples} samples, and a window has {self.samples}"
            )

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> RegressionSettings:
        """The settings of which `asdict` made these values."""
        speech = values["speech"]
        nested = {
            "speech": None if speech is None else EncoderFrames(**speech),
            "autocorrelation": AutocorrelationSettings(**values["autocorrelation"]),
        }
        return cls(**{**values, **nested})

    @property
    def sizes(self) -> ChannelSizes:
        """The parts of a frame."""
        return ChannelSizes(self.skin_size, self.tongue_size, self.jaw_size, self.eye_size)

    @property
    def emotion_size(self) -> int:
        """Values of the emotion input: implicit, then explicit."""
        return self.implicit_emotion_len + self.emotions

    @property
    def steps(self) -> int:
        """Steps of time in a window."""
        return self.autocorrelation.num_windows

    def step_positions(self) -> Tensor | None:
        """Where the network's steps lie among those of the encoder, float32 `[steps]`.

        Each lies in the middle of a window of autocorrelation. None where the encoder has as many steps: they are taken
        one by one then, as the reference does with wav2vec 2.0, whose steps come 7.5 ms before.
        """
        if self.speech is None or self.speech.count == self.steps:
            return None
        cut = self.autocorrelation
        middles = torch.arange(cut.num_windows, dtype=torch.float64) * cut.win_stride + cut.win_len / 2
        positions = (middles / self.samplerate - self.speech.first_step) / self.speech.step
        return positions.float()


@dataclass(frozen=True)
class RegressionOutput:
    """What the network says.

    Attributes:
        values: `[batch, sequence, values]`.
        phonemes: logits by language, `[batch, sequence, steps, phonemes]`; empty outside training.
    """

    values: Tensor
    phonemes: Mapping[str, Tensor]


class RegressionNetwork(nn.Module):
    """The regression network; see the top of the module.

    Args:
        settings: sizes and meaning of the inputs.
        encoder: gives the speech features; None where none are heard.
    """

    def __init__(self, settings: RegressionSettings, encoder: SpeechEncoder | None) -> None:
        super().__init__()
        if (encoder is None) != (settings.speech is None):
            raise ValueError("settings and encoder disagree about whether speech is heard")
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
            norm_factor: what autocorrelation divides the audio by, `[batch]`. None: nothing, as when deployed.
            hidden: output of `hear` for the same audio; None: the encoder is asked.
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
        )

    @torch.no_grad()
    def extract_hidden_states(self, audio: Tensor) -> Tensor:
        """The hidden layers of an encoder that is not trained; with its dropout in training mode.

        Args:
            audio: `[..., samples]`.

        Returns:
            `[layers, windows, steps, features]`, windows in the order of the audio.
        """
        assert self.encoder is not None
        windows = audio.flatten(0, -2)
        at_once = _WINDOWS_AT_ONCE if audio.device.type == "cpu" else len(windows)
        return torch.cat([self.encoder.hidden_layers(some) for some in torch.split(windows, at_once)], dim=1)

    @property
    def encoder_is_trainable(self) -> bool:
        """Whether the encoder learns, beyond how its layers are combined; `hear` cannot stand in for it then."""
        if self.encoder is None:
            return False
        return any(
            weight.requires_grad and not name.startswith("combine.") for name, weight in self.encoder.named_parameters()
        )

    def set_noise_generator(self, generator: torch.Generator) -> None:
        """Makes all gains of training come from a generator on the CPU."""
        for module in self.modules():
            if isinstance(module, ChannelGainNoise):
                module.generator = generator

    def _features(self, windows: Tensor, hidden: Tensor | None) -> Tensor:
        """Features of windows, `[batch * sequence, steps, width]`."""
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
    """The network as it is exported: tensors in, a tensor out, frame by frame, audio at its own level.

    Args:
        network: the network; it is put into evaluation mode.
    """

    def __init__(self, network: RegressionNetwork) -> None:
        super().__init__()
        self.network = network
        self.eval()  # itself too: exporters put everything back into the mode of the outermost module

    def forward(self, window: Tensor, emotion: Tensor) -> Tensor:
        """Windows `[batch, 1, samples]` and emotions `[batch, 1, emotion_size]` to faces `[batch, 1, values]`."""
        output: RegressionOutput = self.network(window, emotion)
        return output.values


class _SpeechBranch(nn.Module):
    """The encoder's steps, brought to those of the network: `[windows, steps, width]` to `[windows, 256, steps]`."""

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
