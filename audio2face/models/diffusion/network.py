"""From the values of a frame to a few latent ones, and from a network's features to the values of a frame, by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from audio2face.models.layers import Alignment, Gru, Mish, mlp, select_rows, zero_init_last
from audio2face.models.layout import ChannelSizes

_FILTER_TAPS = 9


class FilteredLinear(nn.Module):
    """A linear layer whose outputs, in their order, are then smoothed by one short learned filter; ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.filter = nn.Conv1d(1, 1, _FILTER_TAPS, padding=_FILTER_TAPS // 2)

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, frames, inputs]` to `[batch, frames, outputs]`."""
        rows: Tensor = self.linear(x)
        filtered: Tensor = self.filter(rows.reshape(-1, 1, rows.shape[2]))
        return functional.relu(filtered).reshape(rows.shape)


class GeometryEmbedding(nn.Module):
    """Reduces each frame of noisy animation to a few values, part by part; frames do not mix."""

    def __init__(self, sizes: ChannelSizes, latents: ChannelSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.skin = FilteredLinear(sizes.skin, 2 * latents.skin)
        self.tongue = FilteredLinear(sizes.tongue, 2 * latents.tongue)
        self.jaw = nn.Sequential(mlp(sizes.jaw, 2 * latents.jaw, 2 * latents.jaw), nn.ReLU())
        self.eye = nn.Sequential(mlp(sizes.eye, 2 * latents.eye, 2 * latents.eye), nn.ReLU())
        self.merge = mlp(2 * latents.total, 2 * latents.total, latents.total)

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, frames, values]` to `[batch, frames, latents]`."""
        parts = self.sizes.split(x)
        reduced = [self.skin(parts.skin), self.tongue(parts.tongue), self.jaw(parts.jaw), self.eye(parts.eye)]
        merged: Tensor = self.merge(torch.cat(reduced, dim=-1))
        return merged


class GeometryHeads(nn.Module):
    """Unfolds the GRU's output to the difference from the neutral face, part by part; at first that is zero."""

    def __init__(self, width: int, sizes: ChannelSizes) -> None:
        super().__init__()
        self.skin = zero_init_last(mlp(width, 2 * width, sizes.skin))
        self.tongue = zero_init_last(mlp(width, 2 * width, sizes.tongue))
        self.jaw = zero_init_last(mlp(width, width // 2, sizes.jaw))
        self.eye = zero_init_last(mlp(width, width // 2, sizes.eye))

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, frames, width]` to `[batch, frames, values]`."""
        return torch.cat([self.skin(x), self.tongue(x), self.jaw(x), self.eye(x)], dim=-1)


_GRU_DROPOUT = 0.3  # between its layers


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings:
    """All that determines the shapes of the network and the meaning of its inputs.

    Attributes:
        skin_size: values of the skin in a frame, 3 a vertex.
        tongue_size: values of the tongue, 3 a vertex.
        jaw_size: values of the jaw, 3 a key point.
        eye_size: rotations of the eyes.
        actors: number of actors.
        emotions: number of emotions besides the one that is all zeros; at least one.
        fps: frames per second.
        encoder_width: width of one step of the speech encoder.
        encoder_step: seconds between two steps of the encoder.
        encoder_first_step: time of its first step in seconds, or None, see `Alignment`.
        diffusion_steps: number of noise levels that the network can be told.
        feature_dim: width of speech, skin and noise level on their way into the GRU.
        tongue_latent_dim: width of the tongue there.
        jaw_latent_dim: width of the jaw there.
        eye_latent_dim: width of the eyes there.
        actor_embedding_dim: width of the actor there.
        emo_embedding_dim: width of the emotion there.
        gru_feature_dim: width of the GRU.
        num_gru_layers: layers of the GRU.
    """

    skin_size: int
    tongue_size: int
    jaw_size: int
    eye_size: int
    actors: int
    emotions: int
    fps: float
    encoder_width: int
    encoder_step: float
    encoder_first_step: float | None
    diffusion_steps: int
    feature_dim: int
    tongue_latent_dim: int
    jaw_latent_dim: int
    eye_latent_dim: int
    actor_embedding_dim: int
    emo_embedding_dim: int
    gru_feature_dim: int
    num_gru_layers: int

    @property
    def sizes(self) -> ChannelSizes:
        """The parts of a frame."""
        return ChannelSizes(self.skin_size, self.tongue_size, self.jaw_size, self.eye_size)

    @property
    def latent_dims(self) -> ChannelSizes:
        """What the parts are reduced to."""
        return ChannelSizes(self.feature_dim, self.tongue_latent_dim, self.jaw_latent_dim, self.eye_latent_dim)

    @property
    def alignment(self) -> Alignment:
        """How the encoder's steps meet the frames."""
        return Alignment(self.fps, self.encoder_first_step, self.encoder_step)


@dataclass(frozen=True)
class ActorConstants:
    """What normalisation took from each actor's data.

    Attributes:
        neutral: the normalised neutral face, zero for jaw and eyes, `[actors, values]`.
        scale: what skin, tongue, jaw and eyes were divided by, `[actors, 4]`.
    """

    neutral: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Conditioning:
    """What a clip or window is denoised under, the same at every step.

    Attributes:
        speech: `[batch, frames, feature_dim]`.
        actor: `[batch, 1, actor_embedding_dim]`.
        emotion: `[batch, frames or 1, emo_embedding_dim]`.
        neutral: the actors' normalised neutral faces, `[batch, 1, values]`.
    """

    speech: Tensor
    actor: Tensor
    emotion: Tensor
    neutral: Tensor

    def slice_frames(self, start: int, stop: int) -> Conditioning:
        """The same for the frames from `start` up to `stop`, which is not included."""
        emotion = self.emotion if self.emotion.shape[1] == 1 else self.emotion[:, start:stop]
        return Conditioning(self.speech[:, start:stop], self.actor, emotion, self.neutral)


class DiffusionNetwork(nn.Module):
    """The diffusion network; see the top of the module.

    Args:
        settings: sizes and meaning of the inputs.
        constants: per actor; not among the weights, since they are facts about the data.
        encoder: float32 audio `[batch, samples]` at 16 kHz to features `[batch, steps, encoder_width]`. Without one,
            features are given in place of audio.
    """

    neutral: Tensor
    scale: Tensor

    def __init__(
        self, settings: DiffusionSettings, constants: ActorConstants, encoder: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        self.alignment = settings.alignment
        sizes, latents = settings.sizes, settings.latent_dims
        speech_width = self.alignment.points_per_frame * settings.encoder_width
        token_width = (
            2 * settings.feature_dim + latents.total + settings.actor_embedding_dim + settings.emo_embedding_dim
        )
        self.encoder = encoder
        self.speech_projection = nn.Linear(speech_width, settings.feature_dim)
        self.geometry = GeometryEmbedding(sizes, latents)
        self.timestep_projection = nn.Linear(settings.diffusion_steps, settings.feature_dim)
        self.mish = Mish()
        self.actor_projection = nn.Linear(settings.actors, settings.actor_embedding_dim, bias=False)
        self.emotion_projection = nn.Linear(settings.emotions, settings.emo_embedding_dim, bias=False)
        self.gru = Gru(token_width, settings.gru_feature_dim, settings.num_gru_layers, _GRU_DROPOUT)
        self.heads = GeometryHeads(settings.gru_feature_dim, sizes)
        if constants.neutral.shape != (settings.actors, sizes.total) or constants.scale.shape != (settings.actors, 4):
            raise ValueError(
                f"constants {list(constants.neutral.shape)} and {list(constants.scale.shape)} do not fit "
                f"{settings.actors} actors of {sizes.total} values"
            )
        widths = torch.tensor([sizes.skin, sizes.tongue, sizes.jaw, sizes.eye])
        scale = constants.scale.to(torch.float32).repeat_interleave(widths, dim=1)
        self.register_buffer("neutral", constants.neutral.to(torch.float32), persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        speech: Tensor,
        actor: Tensor,
        emotion: Tensor,
        lengths: Tensor | None = None,
        speech_lengths: Tensor | None = None,
    ) -> Tensor:
        """Predicts the clean animation of whole clips.

        Args:
            noisy: `[batch, frames, values]`.
            timesteps: number of the noise level among all, int64 `[batch]`.
            speech: audio `[batch, samples]`, or features `[batch, steps, encoder_width]`.
            actor: `[batch, actors]`.
            emotion: `[batch, emotions]`, or per frame `[batch, frames, emotions]`.
            lengths: frames of each item that are not padding, int64 `[batch]`. None: all.
            speech_lengths: samples or steps likewise; goes with `lengths`.

        Returns:
            `[batch, frames, values]`; what stands in padding means nothing.
        """
        if (lengths is None) != (speech_lengths is None):
            raise ValueError("lengths of frames and of speech go together")
        if speech.dim() == 2 and speech_lengths is not None:
            speech, speech_lengths = self.encode_padded(speech, speech_lengths)
        features = self.encode(speech)
        conditions = self.conditions(features, noisy.shape[1], actor, emotion, lengths, speech_lengths)
        return self.denoise(noisy, timesteps, conditions)[0]

    def encode(self, audio: Tensor) -> Tensor:
        """Features `[batch, steps, encoder_width]` of audio `[batch, samples]`; of features, themselves."""
        if audio.dim() == 3:
            return audio
        if self.encoder is None:
            raise ValueError("this network was made without an encoder: give it features")
        features: Tensor = self.encoder(audio)
        return features

    def encode_padded(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes clips of unequal lengths one by one, since padding would change what encoders make of the rest.

        Args:
            audio: `[batch, samples]`.
            lengths: samples of each item that are not padding, int64 `[batch]`.

        Returns:
            Features `[batch, steps, encoder_width]` padded with zeros, and the steps of each item, int64 `[batch]`.
        """
        clips = [self.encode(item[None, :length])[0] for item, length in zip(audio, lengths.tolist(), strict=True)]
        steps = torch.tensor([len(clip) for clip in clips], device=audio.device)
        return pad_sequence(clips, batch_first=True), steps

    def conditions(
        self,
        features: Tensor,
        frames: int,
        actor: Tensor,
        emotion: Tensor,
        lengths: Tensor | None = None,
        steps: Tensor | None = None,
    ) -> Conditioning:
        """Prepares what stays the same while a clip or window is denoised.

        Args:
            features: output of `encode`, `[batch, steps, encoder_width]`.
            frames: frames that the features span.
            actor: `[batch, actors]`.
            emotion: `[batch, emotions]`, or `[batch, frames, emotions]` for the frames that will be denoised.
            lengths: frames of each item that are not padding, int64 `[batch]`. None: all.
            steps: steps of each item likewise.

        Returns:
            The conditions; a range of frames is taken with `Conditioning.between`.
        """
        aligned = self.alignment.apply(features, frames, steps, lengths)
        return Conditioning(
            speech=self.speech_projection(aligned),
            actor=self.actor_projection(actor)[:, None],
            emotion=self.emotion_projection(emotion if emotion.dim() == 3 else emotion[:, None]),
            neutral=select_rows(actor, self.neutral)[:, None],
        )

    def denoise(
        self, noisy: Tensor, timesteps: Tensor, conditions: Conditioning, latents: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Predicts the clean animation from the noisy one.

        Args:
            noisy: `[batch, frames, values]`.
            timesteps: number of the noise level among all, int64 `[batch]`, or `[1]` for the whole batch.
            conditions: as many frames of them.
            latents: state of the GRU before the first frame, `[layers, batch, gru_feature_dim]`. None: zeros.

        Returns:
            The prediction `[batch, frames, values]`, and the state after the last frame.
        """
        batch, frames = noisy.shape[:2]
        level = self._embed(timesteps)[:, None]
        tokens = torch.cat(
            [
                conditions.speech,
                self.geometry(noisy),
                conditions.actor.expand(-1, frames, -1),
                level.expand(batch, frames, -1),
                conditions.emotion.expand(-1, frames, -1),
            ],
            dim=-1,
        )
        seen, latents = self.gru(tokens, latents)
        return self.heads(seen) + conditions.neutral, latents

    def to_deltas(self, values: Tensor, actor: Tensor) -> Tensor:
        """Undoes the normalisation and takes the neutral face away.

        Args:
            values: normalised animation, `[batch, frames, values]`.
            actor: whose constants apply, `[batch, actors]`.

        Returns:
            `[batch, frames, values]`: displacements of vertices and jaw key points in the mesh's unit, eye rotations in
            degrees.
        """
        neutral, scale = select_rows(actor, self.neutral), select_rows(actor, self.scale)
        return (values - neutral[:, None]) * scale[:, None]

    def _embed(self, timesteps: Tensor) -> Tensor:
        """What the linear layer makes of one-hot vectors, read from its columns: `[batch, feature_dim]`."""
        columns = self.timestep_projection.weight.t().index_select(0, timesteps.to(self.neutral.device))
        level: Tensor = self.mish(columns + self.timestep_projection.bias)
        return level


def widen_actors(weights: dict[str, Tensor], columns: Sequence[int | None]) -> dict[str, Tensor]:
    """Fits trained weights to another list of actors; everything but their identities is kept.

    Args:
        weights: state of a `DiffusionNetwork`.
        columns: for each actor of the new network, its place in the old one, or None for one it did not know; that one
            starts as the average of the old ones.

    Returns:
        State of a network with `len(columns)` actors.
    """
    name = "actor_projection.weight"
    known = weights[name]
    average = known.mean(dim=1)
    widened = [average if column is None else known[:, column] for column in columns]
    return {**weights, name: torch.stack(widened, dim=1)}
