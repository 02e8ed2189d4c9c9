"""The diffusion network: predicts clean animation from noisy animation, speech, actor and emotion.

A small network embeds each noisy frame, and a unidirectional GRU models time. A clip can therefore be cut anywhere when
the GRU's hidden state (one per denoising step) is carried along, and padding at the end of a clip changes nothing
before it. The noise process is in `process`, sampling of clips and windows in `sampling`, the losses in `loss`.

Usage::

    settings = DiffusionSettings(skin_size=..., ..., **hyper_parameters)    # plain numbers; asdict() returns them
    network = DiffusionNetwork(settings, ActorConstants(neutral, scale), encoder)      # encoder: audio -> features

    x0 = network(noisy, timesteps, speech, actor, emotion)                  # everything at once: training
    conditions = network.conditions(network.encode(audio), frames, actor, emotion)     # once per clip or window
    x0, state = network.denoise(noisy, timesteps, conditions, state)        # once per denoising step
    deltas = network.to_deltas(x0, actor)

Axes: `channels` are those of `models.layers`: skin, tongue, jaw and eyes, normalised as in preprocessing. `actor` is
one-hot or a mixture. Tensors are float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from audio2face.models.layers import Alignment, ChannelSizes, Gru, Mish, mlp, select_rows, zero_init_last
from audio2face.models.wide import FaceOutputs, Workspace, wide_input

_FILTER_TAPS = 9


class FilteredLinear(nn.Module):
    """A linear layer, one learned filter over its outputs (as neighbours in their order), and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.filter = nn.Conv1d(1, 1, _FILTER_TAPS, padding=_FILTER_TAPS // 2)

    def forward(self, x: Tensor, workspace: Workspace | None = None) -> Tensor:
        """Maps `[batch, frames, inputs]` to `[batch, frames, outputs]`.

        Args:
            x: needs no gradient where there is a workspace.
            workspace: of a training.
        """
        rows: Tensor = self.linear(x) if workspace is None else wide_input(self.linear, x, workspace)
        filtered: Tensor = self.filter(rows.reshape(-1, 1, rows.shape[2]))
        return functional.relu(filtered).reshape(rows.shape)


class GeometryEmbedding(nn.Module):
    """Embeds each frame of noisy animation by itself, group by group of its channels."""

    def __init__(self, sizes: ChannelSizes, latent_dims: ChannelSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.skin = FilteredLinear(sizes.skin, 2 * latent_dims.skin)
        self.tongue = FilteredLinear(sizes.tongue, 2 * latent_dims.tongue)
        self.jaw = nn.Sequential(mlp(sizes.jaw, 2 * latent_dims.jaw, 2 * latent_dims.jaw), nn.ReLU())
        self.eye = nn.Sequential(mlp(sizes.eye, 2 * latent_dims.eye, 2 * latent_dims.eye), nn.ReLU())
        self.merge = mlp(2 * latent_dims.total, 2 * latent_dims.total, latent_dims.total)

    def forward(self, x: Tensor, workspace: Workspace | None = None) -> Tensor:
        """Maps `[batch, frames, channels]` to `[batch, frames, latent_dims.total]`."""
        parts = self.sizes.split(x)
        wide = [self.skin(parts.skin, workspace), self.tongue(parts.tongue, workspace)]
        reduced = [*wide, self.jaw(parts.jaw), self.eye(parts.eye)]
        merged: Tensor = self.merge(torch.cat(reduced, dim=-1))
        return merged


class GeometryHeads(nn.Module):
    """Projects the GRU's output to deltas from the neutral face, group by group; zero-initialised."""

    def __init__(self, width: int, sizes: ChannelSizes) -> None:
        super().__init__()
        self.skin = zero_init_last(mlp(width, 2 * width, sizes.skin))
        self.tongue = zero_init_last(mlp(width, 2 * width, sizes.tongue))
        self.jaw = zero_init_last(mlp(width, width // 2, sizes.jaw))
        self.eye = zero_init_last(mlp(width, width // 2, sizes.eye))

    @property
    def wide_layers(self) -> list[nn.Linear]:
        """The last layers of skin and tongue."""
        return [last for head in (self.skin, self.tongue) if isinstance(last := head[-1], nn.Linear)]

    def forward(self, x: Tensor, neutral: Tensor) -> Tensor:
        """Maps `[batch, frames, width]` to `[batch, frames, channels]`.

        Args:
            x: output of the GRU.
            neutral: the neutral faces, to which deltas are added, `[batch, 1, channels]`.
        """
        return torch.cat([self.skin(x), self.tongue(x), self.jaw(x), self.eye(x)], dim=-1) + neutral

    def outputs(self, x: Tensor, neutral: Tensor, workspace: Workspace) -> FaceOutputs:
        """What `forward` is made of, in training.

        Args:
            x: as for `forward`.
            neutral: as for `forward`.
            workspace: of the training.
        """
        hidden = [head[:-1](x) for head in (self.skin, self.tongue)]
        layers = list(zip(hidden, self.wide_layers, strict=True))
        narrow = torch.cat([self.jaw(x), self.eye(x)], dim=-1)
        return FaceOutputs(layers, narrow, neutral, workspace, torch.is_autocast_enabled(x.device.type))


_GRU_DROPOUT = 0.3  # between its layers


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings:
    """The hyperparameters of the network and the meaning of its inputs; saved with every checkpoint.

    Attributes:
        skin_size: channels of the skin, 3 per vertex.
        tongue_size: channels of the tongue, 3 per vertex.
        jaw_size: channels of the jaw, 3 per key point.
        eye_size: rotations of the eyes.
        actors: number of actors.
        emotions: number of emotions besides neutral, which is all zeros; at least one.
        fps: frames per second.
        encoder_width: features per step of the speech encoder.
        encoder_step: seconds between two steps of the encoder.
        encoder_first_step: time of its first step in seconds; None stretches the steps over the frames.
        diffusion_steps: number of noise levels.
        feature_dim: width of the embeddings of speech, skin and noise level.
        tongue_latent_dim: width of the tongue's embedding.
        jaw_latent_dim: width of the jaw's embedding.
        eye_latent_dim: width of the eyes' embedding.
        actor_embedding_dim: width of the actor's embedding.
        emo_embedding_dim: width of the emotion's embedding.
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
        """Channels of each group of a frame."""
        return ChannelSizes(self.skin_size, self.tongue_size, self.jaw_size, self.eye_size)

    @property
    def latent_dims(self) -> ChannelSizes:
        """Embedding width of each group of channels."""
        return ChannelSizes(self.feature_dim, self.tongue_latent_dim, self.jaw_latent_dim, self.eye_latent_dim)

    @property
    def alignment(self) -> Alignment:
        """How the encoder's steps are aligned to frames."""
        return Alignment(self.fps, self.encoder_first_step, self.encoder_step)


@dataclass(frozen=True)
class ActorConstants:
    """The constants of each actor's normalisation.

    Attributes:
        neutral: the normalised neutral face, zero for jaw and eyes, `[actors, channels]`.
        scale: divisors of skin, tongue, jaw and eyes, `[actors, 4]`.
    """

    neutral: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Conditioning:
    """The embedded conditioning of a clip or window, constant over the denoising steps.

    Attributes:
        speech: `[batch, frames, feature_dim]`.
        actor: `[batch, 1, actor_embedding_dim]`.
        emotion: `[batch, frames or 1, emo_embedding_dim]`.
        neutral: the actors' normalised neutral faces, `[batch, 1, channels]`.
    """

    speech: Tensor
    actor: Tensor
    emotion: Tensor
    neutral: Tensor

    def slice_frames(self, start: int, stop: int) -> Conditioning:
        """Takes the frames [start, stop)."""
        emotion = self.emotion if self.emotion.shape[1] == 1 else self.emotion[:, start:stop]
        return Conditioning(self.speech[:, start:stop], self.actor, emotion, self.neutral)


class DiffusionNetwork(nn.Module):
    """Predicts clean animation with a GRU over embedded noisy frames, speech, actor, emotion and noise level.

    Args:
        settings: hyperparameters.
        constants: normalisation of each actor; kept in buffers outside the state dict, since they belong to the data.
        encoder: maps float32 audio `[batch, samples]` at 16 kHz to features `[batch, steps, encoder_width]`. None: the
            inputs are features.

    Attributes:
        workspace: memory of a training, in which predictions and gradients of the wide layers are kept from step to
            step; None: they are made anew. It is used in training mode only.
        leaves_faces: with a workspace, `forward` returns what faces are made of, and leaves making them to the losses.
    """

    neutral: Tensor
    scale: Tensor

    def __init__(
        self, settings: DiffusionSettings, constants: ActorConstants, encoder: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.workspace: Workspace | None = None
        self.leaves_faces = False
        self.settings = settings
        self.alignment = settings.alignment
        sizes, latent_dims = settings.sizes, settings.latent_dims
        speech_width = self.alignment.points_per_frame * settings.encoder_width
        token_width = (
            2 * settings.feature_dim + latent_dims.total + settings.actor_embedding_dim + settings.emo_embedding_dim
        )
        self.encoder = encoder
        self.speech_projection = nn.Linear(speech_width, settings.feature_dim)
        self.geometry = GeometryEmbedding(sizes, latent_dims)
        self.timestep_projection = nn.Linear(settings.diffusion_steps, settings.feature_dim)
        self.mish = Mish()
        self.actor_projection = nn.Linear(settings.actors, settings.actor_embedding_dim, bias=False)
        self.emotion_projection = nn.Linear(settings.emotions, settings.emo_embedding_dim, bias=False)
        self.gru = Gru(token_width, settings.gru_feature_dim, settings.num_gru_layers, _GRU_DROPOUT)
        self.heads = GeometryHeads(settings.gru_feature_dim, sizes)
        if constants.neutral.shape != (settings.actors, sizes.total) or constants.scale.shape != (settings.actors, 4):
            raise ValueError(
                f"constants {list(constants.neutral.shape)} and {list(constants.scale.shape)} do not fit "
                f"{settings.actors} actors of {sizes.total} channels"
            )
        widths = torch.tensor([sizes.skin, sizes.tongue, sizes.jaw, sizes.eye])
        scale = constants.scale.to(torch.float32).repeat_interleave(widths, dim=1)
        self.register_buffer("neutral", constants.neutral.to(torch.float32), persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    @property
    def wide_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters by name, whose gradients do not go through autograd where there is a workspace."""
        first = [part.linear.weight for part in (self.geometry.skin, self.geometry.tongue)]
        last = [parameter for layer in self.heads.wide_layers for parameter in (layer.weight, layer.bias)]
        wide = {id(parameter) for parameter in (*first, *last)}
        return {name: parameter for name, parameter in self.named_parameters() if id(parameter) in wide}

    def forward(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        speech: Tensor,
        actor: Tensor,
        emotion: Tensor,
        lengths: Tensor | None = None,
        speech_lengths: Tensor | None = None,
    ) -> Tensor | FaceOutputs:
        """Predicts the clean animation of whole clips.

        Args:
            noisy: `[batch, frames, channels]`.
            timesteps: the noise level, from 0 to `diffusion_steps` - 1, int64 `[batch]`.
            speech: audio `[batch, samples]`, or features `[batch, steps, encoder_width]`.
            actor: `[batch, actors]`.
            emotion: `[batch, emotions]`, or per frame `[batch, frames, emotions]`.
            lengths: valid frames of each item, before its padding, int64 `[batch]`. None: all.
            speech_lengths: valid samples or steps of each item, int64 `[batch]`; required with `lengths`.

        Returns:
            `[batch, frames, channels]`; padding frames are undefined. In training with `leaves_faces`, what they are
            made of.
        """
        if (lengths is None) != (speech_lengths is None):
            raise ValueError("lengths and speech_lengths are given together or not at all")
        if speech.dim() == 2 and speech_lengths is not None:
            speech, speech_lengths = self.encode_padded(speech, speech_lengths)
        features = self.encode(speech)
        conditions = self.conditions(features, noisy.shape[1], actor, emotion, lengths, speech_lengths)
        if self.workspace is None or not self.training or not torch.is_grad_enabled():
            return self.denoise(noisy, timesteps, conditions)[0]
        hidden, _ = self._hidden(noisy, timesteps, conditions, None, self.workspace)
        outputs = self.heads.outputs(hidden, conditions.neutral, self.workspace)
        return outputs if self.leaves_faces else outputs.whole()

    def encode(self, audio: Tensor) -> Tensor:
        """Extracts features `[batch, steps, encoder_width]` of audio `[batch, samples]`; returns features unchanged."""
        if audio.dim() == 3:
            return audio
        if self.encoder is None:
            raise ValueError("this network has no encoder: pass features")
        features: Tensor = self.encoder(audio)
        return features

    def encode_padded(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes clips of unequal lengths one by one, since padding would change the features of the whole clip.

        Args:
            audio: `[batch, samples]`.
            lengths: valid samples of each item, int64 `[batch]`.

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
        """Embeds the conditioning, which is constant over the denoising steps of a clip or window.

        Args:
            features: output of `encode`, `[batch, steps, encoder_width]`.
            frames: frames that the features span.
            actor: `[batch, actors]`.
            emotion: `[batch, emotions]`, or `[batch, frames, emotions]` for the frames that will be denoised.
            lengths: valid frames of each item, int64 `[batch]`. None: all.
            steps: valid steps of each item, int64 `[batch]`. None: all.

        Returns:
            The conditioning of all frames; `Conditioning.slice_frames` takes a range of them.
        """
        aligned = self.alignment.apply(features, frames, steps, lengths)
        return Conditioning(
            speech=self.speech_projection(aligned),
            actor=self.actor_projection(actor)[:, None],
            emotion=self.emotion_projection(emotion if emotion.dim() == 3 else emotion[:, None]),
            neutral=select_rows(actor, self.neutral)[:, None],
        )

    def denoise(
        self, noisy: Tensor, timesteps: Tensor, conditions: Conditioning, hidden_state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Predicts the clean animation from the noisy one.

        Args:
            noisy: `[batch, frames, channels]`.
            timesteps: the noise level, int64 `[batch]`, or `[1]` for the whole batch.
            conditions: the conditioning of these frames.
            hidden_state: of the GRU before the first frame, `[layers, batch, gru_feature_dim]`. None: zeros.

        Returns:
            The prediction `[batch, frames, channels]`, and the hidden state after the last frame.
        """
        hidden, state = self._hidden(noisy, timesteps, conditions, hidden_state, None)
        return self.heads(hidden, conditions.neutral), state

    def _hidden(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditions: Conditioning,
        state: Tensor | None,
        workspace: Workspace | None,
    ) -> tuple[Tensor, Tensor]:
        """The GRU's output `[batch, frames, gru_feature_dim]`, and its hidden state after the last frame."""
        batch, frames = noisy.shape[:2]
        level = self._embed(timesteps)[:, None]
        tokens = torch.cat(
            [
                conditions.speech,
                self.geometry(noisy, workspace),
                conditions.actor.expand(-1, frames, -1),
                level.expand(batch, frames, -1),
                conditions.emotion.expand(-1, frames, -1),
            ],
            dim=-1,
        )
        hidden, state = self.gru(tokens, state)
        return hidden, state

    def to_deltas(self, values: Tensor, actor: Tensor) -> Tensor:
        """Denormalises animation and subtracts the neutral face.

        Args:
            values: normalised animation, `[batch, frames, channels]`.
            actor: selects the constants, `[batch, actors]`.

        Returns:
            `[batch, frames, channels]`: deltas of vertices and jaw key points in the mesh's unit, eye rotations in
            degrees.
        """
        neutral, scale = select_rows(actor, self.neutral), select_rows(actor, self.scale)
        return (values - neutral[:, None]) * scale[:, None]

    def _embed(self, timesteps: Tensor) -> Tensor:
        """Embeds noise levels: the linear layer of one-hot vectors, read from its columns, `[batch, feature_dim]`."""
        columns = self.timestep_projection.weight.t().index_select(0, timesteps.to(self.neutral.device))
        level: Tensor = self.mish(columns + self.timestep_projection.bias)
        return level


def widen_actors(
    weights: dict[str, Tensor], columns: Sequence[int | None], name: str = "actor_projection.weight"
) -> dict[str, Tensor]:
    """Adapts trained weights to another list of actors; only the actor embedding changes.

    Args:
        weights: state dict of a network.
        columns: for each actor of the new network, its index in the old one; None for a new actor, which starts as the
            mean of the old ones.
        name: of the actor embedding, `[width, actors]`.

    Returns:
        State dict of a network with `len(columns)` actors.
    """
    trained = weights[name]
    average = trained.mean(dim=1)
    widened = [average if column is None else trained[:, column] for column in columns]
    return {**weights, name: torch.stack(widened, dim=1)}
