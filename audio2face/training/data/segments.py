"""Segments of clips, the batches of a diffusion or streaming training.

Targets are decoded from PCA coefficients on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from audio2face.config_base.types import Channel
from audio2face.dataset.shots import EmotionVectors
from audio2face.geometry.frames import MIDDLE, recorded_indices
from audio2face.models.losses import Losses
from audio2face.models.shaped_targets import ShapedTargets, Shapes
from audio2face.preproc.network_data import PcaComponents
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.audio import NoiseKind, Recordings, noise
from audio2face.training.data.clips import TrainingClip
from audio2face.training.data.motion import ShotMotion
from audio2face.training.data.pseudo_labels import group_ranges, group_sizes
from audio2face.training.data.samplers import SegmentBatchSpec, SegmentSpec
from audio2face.training.task import PREFETCH_BATCHES, TensorBatch, prefetch, suspect_items
from audio2face.types import BoolArray, Float32Array, Float64Array


class PcaDecoder(nn.Module):
    """Decodes batches into normalised targets; the actors' components are buffers that move with the module.

    Poses are `(coefficients x components + mean - translate) / scale`. Jaw and eyes, which are deltas from the neutral
    pose, are divided by their scale. Coefficients are copied.

    Args:
        sources: the actors in the order of the network.
        channels: TARGET_CHANNELS, the layout of a frame.
        rescale: RESCALE_TARGET_CHANNEL_DATA; False uses a translation of 0 and a scale of 1.
    """

    def __init__(self, sources: Sequence[ActorSource], channels: Sequence[Channel], rescale: bool) -> None:
        super().__init__()
        counts = sources[0].info.counts
        widths: dict[Channel, int] = {
            "skin_coeffs": counts["num_shapes_skin"],
            "tongue_coeffs": counts["num_shapes_tongue"],
            "skin_pose": 3 * counts["num_verts_skin"],
            "tongue_pose": 3 * counts["num_verts_tongue"],
            "jaw": 3 * counts["num_keypoints_jaw"],
            "eye": 2 * counts["num_angles_eye"],  # of two eyes
        }
        self.channels = tuple(channels)
        self.widths = [widths[channel] for channel in channels]
        self.actors = nn.ModuleList(_ActorComponents(source, channels, rescale) for source in sources)

    @property
    def num_values(self) -> int:
        """Channels of one frame."""
        return sum(self.widths)

    @torch.no_grad()
    def forward(self, batch: SegmentBatch, out: Tensor | None = None) -> Tensor:
        """Decodes the targets of a batch on the device of the batch and the components.

        Args:
            batch: the batch.
            out: float32 `[batch, frames, channels]`, which is overwritten; None: a new tensor.

        Returns:
            Float32 `[batch, frames, channels]`; padding holds the neutral pose.
        """
        num_items, num_frames = batch.skin.shape[:2]
        target = batch.skin.new_empty(num_items, num_frames, self.num_values) if out is None else out
        for item, actor in enumerate(batch.actors):
            components = self.actors[actor]
            assert isinstance(components, _ActorComponents)
            for channel, values in zip(self.channels, torch.split(target[item], self.widths, dim=-1), strict=True):
                components.write(channel, batch, item, values)
        return target

    @torch.no_grad()
    def diffuse(self, batch: SegmentBatch, noise: Tensor, signal: Sequence[float], spread: Sequence[float]) -> Tensor:
        """Turns noise into noisy targets in its own memory, without a tensor of clean ones.

        Args:
            batch: as for `forward`.
            noise: float32 `[batch, frames, channels]`.
            signal: factor of the targets of each item.
            spread: factor of the noise of each item.

        Returns:
            `noise`.
        """
        for item, actor in enumerate(batch.actors):
            components = self.actors[actor]
            assert isinstance(components, _ActorComponents)
            for channel, values in zip(self.channels, torch.split(noise[item], self.widths, dim=-1), strict=True):
                components.diffuse(channel, batch, item, values, signal[item], spread[item])
        return noise

    @torch.no_grad()
    def shaped(self, batch: SegmentBatch, whole: Callable[[], Tensor]) -> ShapedTargets:
        """The targets of a batch whose skin and tongue are poses, without making them.

        Args:
            batch: as for `forward`.
            whole: makes what `forward` returns.
        """
        narrow = list(zip(self.channels, self.widths, strict=True))[2:]
        values = batch.skin.new_empty(*batch.skin.shape[:2], sum(width for _, width in narrow))
        for item, actor in enumerate(batch.actors):
            components = self.actors[actor]
            assert isinstance(components, _ActorComponents)
            parts = torch.split(values[item], [width for _, width in narrow], dim=-1)
            for (channel, _), part in zip(narrow, parts, strict=True):
                components.write(channel, batch, item, part)
        return ShapedTargets((batch.skin, batch.tongue), values, whole)

    def shapes(self, offsets: Tensor) -> list[list[Shapes]]:
        """The shapes of skin and tongue of each actor, or nothing where a frame holds no poses.

        Args:
            offsets: what is added to the network's last layers, of each actor, `[actors, channels]`.
        """
        if self.channels[:2] != ("skin_pose", "tongue_pose"):
            return []
        skin, tongue = offsets[:, : self.widths[0]], offsets[:, self.widths[0] : sum(self.widths[:2])]
        return [
            [
                Shapes(actor.get_buffer("skin_components"), actor.get_buffer("skin_mean"), own_skin),
                Shapes(actor.get_buffer("tongue_components"), actor.get_buffer("tongue_mean"), own_tongue),
            ]
            for actor, own_skin, own_tongue in zip(self.actors, skin, tongue, strict=True)
        ]


class _ActorComponents(nn.Module):
    """Components, means and scales of one actor, with the normalisation folded in."""

    def __init__(self, source: ActorSource, channels: Sequence[Channel], rescale: bool) -> None:
        super().__init__()
        scale = {part: value if rescale else 1.0 for part, value in source.info.scale.items()}
        self.jaw_scale, self.eye_scale = scale["jaw"], scale["eye"]
        parts: list[tuple[Channel, str, PcaComponents]] = [
            ("skin_pose", "skin", source.skin),
            ("tongue_pose", "tongue", source.tongue),
        ]
        for channel, part, pca in parts:
            if channel in channels:
                centre = np.asarray(source.info.translate[part] if rescale else (0.0, 0.0, 0.0), np.float64)
                mean = (pca.mean - centre) / scale[part]
                self._register(f"{part}_mean", mean.reshape(-1))
                self._register(f"{part}_components", pca.matrix.reshape(len(pca.matrix), -1) / scale[part])

    def write(self, channel: Channel, batch: SegmentBatch, item: int, values: Tensor) -> None:
        """Writes one channel of one item into `values` `[frames, width]`."""
        if channel in ("skin_pose", "tongue_pose"):
            part = channel.removesuffix("_pose")
            mean, components = getattr(self, f"{part}_mean"), getattr(self, f"{part}_components")
            coefficients = getattr(batch, part)[item, :, : len(components)]
            torch.addmm(mean, coefficients, components, out=values)
        elif channel == "jaw":
            torch.div(batch.jaw[item], self.jaw_scale, out=values)
        elif channel == "eye":
            torch.div(batch.eye[item], self.eye_scale, out=values)
        else:
            values.copy_(getattr(batch, channel.removesuffix("_coeffs"))[item])

    def diffuse(
        self, channel: Channel, batch: SegmentBatch, item: int, noise: Tensor, signal: float, spread: float
    ) -> None:
        """Turns noise `[frames, width]` into the noisy values of one channel of one item."""
        if channel in ("skin_pose", "tongue_pose"):
            part = channel.removesuffix("_pose")
            mean, components = getattr(self, f"{part}_mean"), getattr(self, f"{part}_components")
            coefficients = getattr(batch, part)[item, :, : len(components)]
            noise.addmm_(coefficients, components, beta=spread, alpha=signal).add_(mean, alpha=signal)
        else:
            clean = torch.empty_like(noise)
            self.write(channel, batch, item, clean)
            noise.mul_(spread).add_(clean, alpha=signal)

    def _register(self, name: str, constant: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(constant, np.float32)), persistent=False)


_RATIO_TOLERANCE = 1e-6  # frames: ratios of rates such as 60 / 29.97 are not exact in floating point


@dataclass(frozen=True, eq=False)
class Segment:
    """One training sample.

    Attributes:
        motion: at the frame rate of the network.
        audio: float32 `[samples]`.
    """

    motion: ShotMotion
    audio: Float32Array


@dataclass(frozen=True)
class SegmentReader:
    """Reads segments.

    Attributes:
        clips: the clips that specs index.
        motions: motion of every shot, by its id.
        recordings: audio of every clip.
        fps: frames per second of the network.
        noise_kind: audio of muted clips; None: silence.
        noise_scale: level of that noise.
        margins: samples that are read before and after each segment.
    """

    clips: Sequence[TrainingClip]
    motions: Mapping[str, ShotMotion]
    recordings: Recordings
    fps: float
    noise_kind: NoiseKind | None
    noise_scale: float
    margins: tuple[int, int] = (0, 0)

    @property
    def clip_frames(self) -> list[int]:
        """Length of every clip in frames at the rate of the network."""
        return [num_target_frames(clip, self.fps) for clip in self.clips]

    def read(self, spec: SegmentSpec) -> Segment:
        """Reads one segment.

        Raises:
            UserError: its recording cannot be read.
        """
        clip = self.clips[spec.clip]
        positions = frame_positions(clip, self.fps, spec.start, spec.num_frames, spec.time_shift)
        return Segment(self.motions[clip.shot.id].interpolate(positions), self._audio(clip, spec))

    def _audio(self, clip: TrainingClip, spec: SegmentSpec) -> Float32Array:
        rate = self.recordings.samplerate
        before, after = self.margins
        num_samples = before + num_segment_samples(spec.num_frames, self.fps, rate) + after
        if clip.audio is None:
            rng = np.random.default_rng(spec.noise_seed)
            return noise(num_samples, rate, self.noise_kind, self.noise_scale * spec.noise_gain, rng).astype(np.float32)
        start = round((clip.audio_start + spec.time_shift / clip.shot.fps) * rate) + int(spec.start * (rate / self.fps))
        return self.recordings.read(clip.audio, start - before, num_samples, spec.semitones)


def num_target_frames(clip: TrainingClip, fps: float) -> int:
    """Frames at the rate of the network that a clip fills, at least 1."""
    return max(1, int(clip.num_frames * (fps / clip.shot.fps) + _RATIO_TOLERANCE))


def num_segment_samples(num_frames: int, fps: float, samplerate: int) -> int:
    """Audio samples of `num_frames` frames at the rate of the network."""
    return int(num_frames / fps * samplerate)


def frame_positions(
    clip: TrainingClip, fps: float, start: int, num_frames: int, time_shift: float = 0.0
) -> Float64Array:
    """Positions of network frames in a shot.

    A frame represents the middle of its interval at both rates: frame j of the clip is at (j + 0.5) / ratio - 0.5.
    Positions outside the clip are clamped to its first and last frame.

    Args:
        clip: the clip.
        fps: frame rate of the network.
        start: first frame, at that rate, from the start of the clip.
        num_frames: number of frames.
        time_shift: frames of the shot added to all positions.

    Returns:
        Positions in frames of the shot, float64 `[num_frames]`.
    """
    times = (np.arange(start, start + num_frames) + MIDDLE) * (clip.shot.fps / fps)  # in frames of the shot
    frames = recorded_indices(times) + time_shift
    positions: Float64Array = clip.first + np.clip(frames, 0.0, clip.num_frames - 1.0)
    return positions


@dataclass(frozen=True, eq=False)
class SegmentBatch(TensorBatch):
    """The batch of one training step; skin and tongue as coefficients, which `PcaDecoder` decodes on the device.

    Attributes:
        spec: the sampled segments.
        sample_ids: clip and start of each item, for messages; empty for a padding batch.
        actors: index of each item's actor.
        skin: coefficients, float32 `[batch, frames, components]`; padded with zeros to the largest number of
            components of an actor.
        tongue: coefficients, float32 `[batch, frames, components]`, padded in the same way.
        jaw: float32 `[batch, frames, 3 * points]`, centimetres.
        eye: float32 `[batch, frames, 2 * angles]`, degrees.
        audio: float32 `[batch, samples]`.
        emotion: float32 `[batch, emotions]`.
        actor: one-hot, float32 `[batch, actors]`.
        valid: bool `[batch, 4]`, on the host: whether skin, tongue, jaw and eyes hold data.
        lengths: frames of each item without padding, int64 `[batch]`; None: all frames.
        audio_lengths: samples of each item without padding, int64 `[batch]`; None: all samples.
    """

    spec: SegmentBatchSpec
    sample_ids: tuple[str, ...]
    actors: tuple[int, ...]
    skin: Tensor
    tongue: Tensor
    jaw: Tensor
    eye: Tensor
    audio: Tensor
    emotion: Tensor
    actor: Tensor
    valid: BoolArray
    lengths: Tensor | None = None
    audio_lengths: Tensor | None = None

    @property
    def num_frames(self) -> int:
        """Frames of all items, without padding."""
        return 0 if self.spec.is_padding else sum(draw.num_frames for draw in self.spec.segments)

    @property
    def group_sizes(self) -> Mapping[str, int]:
        """Number of items of each group, without padding; empty in a training of recorded ones alone."""
        return group_sizes(len(self.sample_ids), self.spec.groups)

    def suspects(self) -> Sequence[str]:
        """Ids of the items whose data can cause a non-finite loss."""
        return suspect_items(self.sample_ids, (self.audio, self.skin, self.tongue, self.jaw, self.eye, self.emotion))

    def slice_frames(self, start: int, stop: int) -> Self:
        """The batch with the motion of frames `start` to `stop`, exclusive; the other fields are unchanged."""
        motion = {name: getattr(self, name)[:, start:stop] for name in ("skin", "tongue", "jaw", "eye")}
        return replace(self, **motion)


# The losses of predicted and true frames, the actor of each item, its number of valid frames, and its valid channels.
SegmentLoss = Callable[[Any, Any, Sequence[int], Tensor | None, Tensor | None], Losses]


def segment_losses(
    loss_fn: SegmentLoss, predicted: Any, target: Any, batch: SegmentBatch, valid: Tensor | None
) -> Mapping[str, Tensor]:
    """The losses of a batch as `Task.losses` gives them: of all items, and apart of each group.

    Args:
        loss_fn: computes losses that are means over items.
        predicted: `[batch, frames, channels]`, or what the loss takes instead, with `len` and `split` as of a tensor.
        target: as `predicted`.
        batch: its actors and lengths; items of a group follow each other.
        valid: mask of the channels with data, `[batch, channels]`; None: all.
    """
    groups = batch.spec.groups
    if not groups:
        losses = loss_fn(predicted, target, batch.actors, batch.lengths, valid)
        return {"total": losses.total, **losses.terms}
    items, sizes = len(target), list(groups.values())

    def split(values: Tensor | None) -> Sequence[Tensor | None]:
        return [None] * len(sizes) if values is None else torch.split(values, sizes)

    actors = [batch.actors[part] for part in group_ranges(groups).values()]
    parts = (predicted.split(sizes), target.split(sizes), actors, split(batch.lengths), split(valid))
    sides = zip(*parts, strict=True)
    found = [loss_fn(*side) if size else None for size, side in zip(sizes, sides, strict=True)]
    shares = [(size / items, group) for size, group in zip(sizes, found, strict=True) if group is not None]
    mixed = {"total": torch.stack([share * group.total for share, group in shares]).sum()}
    names = shares[0][1].terms
    for name in names:
        mixed[name] = torch.stack([share * group.terms[name] for share, group in shares]).sum()
    for label, group in zip(groups, found, strict=True):
        for name in names:
            mixed[f"{label}/{name}"] = mixed["total"].new_zeros(()) if group is None else group.terms[name]
    return mixed


@dataclass(frozen=True)
class BatchLoader:
    """Loads batches from their specs.

    Attributes:
        reader: reads single items.
        emotions: maps emotions to vectors.
        actor_names: the actors in the order of the network.
    """

    reader: SegmentReader
    emotions: EmotionVectors
    actor_names: Sequence[str]

    def load(self, spec: SegmentBatchSpec) -> SegmentBatch:
        """Loads one batch; thread-safe."""
        clips = [self.reader.clips[draw.clip] for draw in spec.segments]
        segments = [self.reader.read(draw) for draw in spec.segments]
        actors = tuple(self.actor_names.index(clip.shot.actor) for clip in clips)
        lengths = [draw.num_frames for draw in spec.segments]
        is_padded = len(set(lengths)) > 1
        names = tuple(f"{clip} at {draw.start}" for clip, draw in zip(clips, spec.segments, strict=True))
        skin, tongue, jaw, eye = (_pad_and_stack(parts) for parts in zip(*_parts(segments), strict=True))
        return SegmentBatch(
            spec=spec,
            sample_ids=() if spec.is_padding else names,
            actors=actors,
            skin=skin,
            tongue=tongue,
            jaw=jaw,
            eye=eye,
            audio=_pad_and_stack([segment.audio[:, None] for segment in segments])[..., 0],
            emotion=torch.from_numpy(np.stack([self.emotions.vector(clip.shot.emotion) for clip in clips])),
            actor=torch.nn.functional.one_hot(torch.tensor(actors), len(self.actor_names)).float(),
            valid=np.array([segment.motion.valid for segment in segments]),
            lengths=torch.tensor(lengths) if is_padded else None,
            audio_lengths=torch.tensor([len(segment.audio) for segment in segments]) if is_padded else None,
        )

    def batches(self, specs: Iterable[SegmentBatchSpec]) -> Iterator[SegmentBatch]:
        """Loads batches in order, `PREFETCH_BATCHES` ahead."""
        return prefetch(specs, self.load, PREFETCH_BATCHES)


def _parts(segments: Sequence[Segment]) -> list[tuple[Float32Array, ...]]:
    return [segment.motion.parts for segment in segments]


def _pad_and_stack(arrays: Sequence[Float32Array]) -> Tensor:
    """Stacks arrays `[rows, columns]` into one `[batch, rows, columns]`, zero-padded at the end."""
    rows, columns = (max(array.shape[axis] for array in arrays) for axis in (0, 1))
    filled = np.zeros((len(arrays), rows, columns), np.float32)
    for target, array in zip(filled, arrays, strict=True):
        target[: array.shape[0], : array.shape[1]] = array
    return torch.from_numpy(filled)
