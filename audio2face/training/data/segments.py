"""From coefficients to the vectors that a network learns: poses made on the device, for the frames of a batch only.

Knows shapes, scales and the order of channels. Knows no files and no clips.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from audio2face.audio import NoiseKind, noise
from audio2face.config_base.types import Channel
from audio2face.dataset.emotions import EmotionVectors
from audio2face.geometry.frame_times import MIDDLE, recorded_indices
from audio2face.models.layout import ChannelSizes
from audio2face.preproc.network_data import PcaComponents
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.audio import Recordings
from audio2face.training.data.clips import TrainingClip
from audio2face.training.data.motion import ShotMotion
from audio2face.training.data.samplers import SegmentBatchSpec, SegmentSpec
from audio2face.types import BoolArray, Float32Array, Float64Array


class PcaDecoder(nn.Module):
    """Makes normalised targets of batches; the actors' shapes go where the module goes, and are no weights.

    Poses are `(coefficients x shapes + mean - translate) / scale`, jaw and eyes are divided by their scale (they are
    differences already, so nothing is subtracted), coefficients stay as they are.

    Args:
        sources: the actors in the order of the network.
        channels: TARGET_CHANNELS, the layout of a frame.
        rescale: RESCALE_TARGET_CHANNEL_DATA; without it nothing is subtracted and nothing divided.
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
        """Values of one frame."""
        return sum(self.widths)

    @torch.no_grad()
    def forward(self, batch: SegmentBatch) -> Tensor:
        """Makes the targets of a batch, on the device that it and the shapes are on.

        Returns:
            Float32 `[batch, frames, values]`; the rest pose where an item is padding.
        """
        num_items, num_frames = batch.skin.shape[:2]
        target = batch.skin.new_empty(num_items, num_frames, self.num_values)
        for item, actor in enumerate(batch.actors):
            shapes = self.actors[actor]
            assert isinstance(shapes, _ActorComponents)
            for channel, values in zip(self.channels, torch.split(target[item], self.widths, dim=-1), strict=True):
                shapes.write(channel, batch, item, values)
        return target


class _ActorComponents(nn.Module):
    """Shapes, means and scales of one actor, with the normalisation already in them."""

    def __init__(self, source: ActorSource, channels: Sequence[Channel], rescale: bool) -> None:
        super().__init__()
        scale = {part: value if rescale else 1.0 for part, value in source.info.scale.items()}
        self.jaw_scale, self.eye_scale = scale["jaw"], scale["eye"]
        parts: list[tuple[Channel, str, PcaComponents]] = [
            ("skin_pose", "skin", source.skin),
            ("tongue_pose", "tongue", source.tongue),
        ]
        for channel, part, shapes in parts:
            if channel in channels:
                centre = np.asarray(source.info.translate[part] if rescale else (0.0, 0.0, 0.0), np.float64)
                mean = (shapes.mean - centre) / scale[part]
                self._keep(f"{part}_mean", mean.reshape(-1))
                self._keep(f"{part}_shapes", shapes.matrix.reshape(len(shapes.matrix), -1) / scale[part])

    def write(self, channel: Channel, batch: SegmentBatch, item: int, values: Tensor) -> None:
        """Writes one channel of one item into `values` `[frames, width]`."""
        if channel in ("skin_pose", "tongue_pose"):
            part = channel.removesuffix("_pose")
            mean, shapes = getattr(self, f"{part}_mean"), getattr(self, f"{part}_shapes")
            coefficients = getattr(batch, part)[item, :, : len(shapes)]
            torch.addmm(mean, coefficients, shapes, out=values)
        elif channel == "jaw":
            torch.div(batch.jaw[item], self.jaw_scale, out=values)
        elif channel == "eye":
            torch.div(batch.eye[item], self.eye_scale, out=values)
        else:
            values.copy_(getattr(batch, channel.removesuffix("_coeffs"))[item])

    def _keep(self, name: str, constant: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(constant, np.float32)), persistent=False)


_ROUNDING = 1e-6  # frames: ratios of rates such as 60 / 29.97 are not exact in floating point


@dataclass(frozen=True, eq=False)
class Segment:
    """One item.

    Attributes:
        motion: at the rate of the network.
        audio: float32 `[samples]`.
    """

    motion: ShotMotion
    audio: Float32Array


@dataclass(frozen=True)
class SegmentReader:
    """Reads segments.

    Attributes:
        clips: the clips that draws refer to.
        motions: motion of every shot, by its id.
        recordings: sound of every clip.
        fps: frames per second of the network.
        noise_kind: what muted clips sound like.
        noise_scale: loudness of that.
    """

    clips: Sequence[TrainingClip]
    motions: Mapping[str, ShotMotion]
    recordings: Recordings
    fps: float
    noise_kind: NoiseKind | None
    noise_scale: float

    @property
    def clip_frames(self) -> list[int]:
        """Length of every clip in frames of the network."""
        return [num_target_frames(clip, self.fps) for clip in self.clips]

    def read(self, draw: SegmentSpec) -> Segment:
        """Reads one segment.

        Raises:
            UserError: its recording cannot be read.
        """
        clip = self.clips[draw.clip]
        positions = frame_positions(clip, self.fps, draw.start, draw.num_frames, draw.time_shift)
        return Segment(self.motions[clip.shot.id].between(positions), self._audio(clip, draw))

    def _audio(self, clip: TrainingClip, draw: SegmentSpec) -> Float32Array:
        rate = self.recordings.samplerate
        num_samples = num_segment_samples(draw.num_frames, self.fps, rate)
        if clip.audio is None:
            rng = np.random.default_rng(draw.noise_seed)
            return noise(num_samples, rate, self.noise_kind, self.noise_scale * draw.noise_gain, rng).astype(np.float32)
        start = round((clip.audio_start + draw.time_shift / clip.shot.fps) * rate) + int(draw.start * (rate / self.fps))
        return self.recordings.read(clip.audio, start, num_samples, draw.semitones)


def num_target_frames(clip: TrainingClip, fps: float) -> int:
    """Frames of the network that a clip fills, at least 1."""
    return max(1, int(clip.num_frames * (fps / clip.shot.fps) + _ROUNDING))


def num_segment_samples(num_frames: int, fps: float, samplerate: int) -> int:
    """Samples that so many frames of the network take."""
    return int(num_frames / fps * samplerate)


def frame_positions(
    clip: TrainingClip, fps: float, start: int, num_frames: int, time_shift: float = 0.0
) -> Float64Array:
    """Where frames of the network lie in a shot.

    A frame stands for the middle of its time, at either rate: frame j of the clip lies at (j + 0.5) / ratio - 0.5. What
    would lie outside the clip takes the clip's nearest frame.

    Args:
        clip: the clip.
        fps: rate of the network.
        start: first frame, at that rate, from the start of the clip.
        num_frames: how many.
        time_shift: frames of the shot by which all are moved.

    Returns:
        Positions in frames of the shot, float64 `[num_frames]`.
    """
    times = (np.arange(start, start + num_frames) + MIDDLE) * (clip.shot.fps / fps)  # in frames of the shot
    frames = recorded_indices(times) + time_shift
    positions: Float64Array = clip.first + np.clip(frames, 0.0, clip.num_frames - 1.0)
    return positions


Order = TypeVar("Order")
Loaded = TypeVar("Loaded")


PREFETCH_BATCHES = 3
_LARGEST = 1e6  # no sample, coefficient, centimetre or degree comes near it


@dataclass(frozen=True, eq=False)
class TensorBatch:
    """A batch, some of whose fields are tensors."""

    def to(self, device: torch.device | str) -> Self:
        """The batch on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **moved)


def value_mask(known: BoolArray, sizes: ChannelSizes, device: torch.device) -> Tensor | None:
    """Which values of a frame are data to train on, where those of some item are not.

    It is made on the host, so that nothing waits for the device, and then moved.

    Args:
        known: for skin, tongue, jaw and eyes of each item, bool `[batch, 4]`.
        sizes: the parts of a frame.
        device: where the mask is wanted.

    Returns:
        Bool `[batch, values]`; None: all are.
    """
    if known.all():
        return None
    widths = (sizes.skin, sizes.tongue, sizes.jaw, sizes.eye)
    return torch.from_numpy(np.repeat(known, widths, axis=1)).to(device)


def suspect_items(names: Sequence[str], values: Iterable[Tensor | None]) -> Sequence[str]:
    """The items whose data alone explain a loss that is not finite.

    Args:
        names: of the items.
        values: tensors whose first axis is the items, or a multiple of them.

    Returns:
        The names of items that hold a value which is not finite, or so large that its square would not be; all names
        where there is none.
    """
    if not names:
        return names
    sound = torch.ones(len(names), dtype=torch.bool)
    for tensor in values:
        if tensor is not None:
            own = tensor.detach().float().reshape(len(names), -1)
            sound &= (own.abs() < _LARGEST).all(dim=1).cpu()  # false for NaN
    return [name for name, is_sound in zip(names, sound.tolist(), strict=True) if not is_sound] or names


@dataclass(frozen=True, eq=False)
class SegmentBatch(TensorBatch):
    """What one step learns from; motion still in coefficients (`PcaDecoder` makes poses of it on the device).

    Attributes:
        plan: what was drawn.
        names: clip and range of each item that counts, for messages.
        actors: index of each item's actor.
        skin: coefficients, float32 `[batch, frames, shapes]`; padded with zeros where actors differ in shapes.
        tongue: coefficients likewise.
        jaw: `[batch, frames, 3 * points]` centimetres.
        eye: `[batch, frames, 2 * angles]` degrees.
        audio: float32 `[batch, samples]`.
        emotion: float32 `[batch, emotions]`.
        actor: one-hot, float32 `[batch, actors]`.
        known: bool `[batch, 4]`, on the host: whether skin, tongue, jaw and eyes are data to train on.
        lengths: frames of each item that are not padding, int64 `[batch]`; None: all.
        audio_lengths: samples likewise.
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
        """Frames of all items that count, padding left out."""
        return 0 if self.spec.is_padding else sum(draw.num_frames for draw in self.spec.segments)

    def suspects(self) -> Sequence[str]:
        """See `suspect_items`."""
        return suspect_items(self.sample_ids, (self.audio, self.skin, self.tongue, self.jaw, self.eye, self.emotion))

    def slice_frames(self, start: int, stop: int) -> Self:
        """The motion of the frames from `start` up to `stop`, which is not included; everything else stays."""
        motion = {name: getattr(self, name)[:, start:stop] for name in ("skin", "tongue", "jaw", "eye")}
        return replace(self, **motion)


@dataclass(frozen=True)
class BatchLoader:
    """Loads the batches that plans ask for.

    Attributes:
        reader: reads single items.
        emotions: how emotions become vectors.
        actor_names: the actors in the order of the network.
    """

    reader: SegmentReader
    emotions: EmotionVectors
    actor_names: Sequence[str]

    def load(self, plan: SegmentBatchSpec) -> SegmentBatch:
        """Loads one batch; uses no global state, so that it may run on any thread."""
        clips = [self.reader.clips[draw.clip] for draw in plan.segments]
        segments = [self.reader.read(draw) for draw in plan.segments]
        actors = tuple(self.actor_names.index(clip.shot.actor) for clip in clips)
        lengths = [draw.num_frames for draw in plan.segments]
        is_padded = len(set(lengths)) > 1
        names = tuple(f"{clip} at {draw.start}" for clip, draw in zip(clips, plan.segments, strict=True))
        skin, tongue, jaw, eye = (_pad_and_stack(parts) for parts in zip(*_parts(segments), strict=True))
        return SegmentBatch(
            spec=plan,
            sample_ids=() if plan.is_padding else names,
            actors=actors,
            skin=skin,
            tongue=tongue,
            jaw=jaw,
            eye=eye,
            audio=_pad_and_stack([segment.audio[:, None] for segment in segments])[..., 0],
            emotion=torch.from_numpy(np.stack([self.emotions.vector(clip.shot.emotion) for clip in clips])),
            actor=torch.nn.functional.one_hot(torch.tensor(actors), len(self.actor_names)).float(),
            valid=np.array([segment.motion.known for segment in segments]),
            lengths=torch.tensor(lengths) if is_padded else None,
            audio_lengths=torch.tensor([len(segment.audio) for segment in segments]) if is_padded else None,
        )

    def batches(self, plans: Iterable[SegmentBatchSpec]) -> Iterator[SegmentBatch]:
        """Loads batches in order, `PREFETCH_BATCHES` of them before they are asked for."""
        return prefetch(plans, self.load, PREFETCH_BATCHES)


def prefetch(orders: Iterable[Order], load: Callable[[Order], Loaded], count: int) -> Iterator[Loaded]:
    """Yields what `load` makes of each order, in their order; up to `count` are made in the background beforehand.

    `orders` may be endless. An exception of `load` appears where its result would have.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="loader")
    waiting: deque[Future[Loaded]] = deque()
    try:
        for order in orders:
            waiting.append(pool.submit(load, order))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _parts(segments: Sequence[Segment]) -> list[tuple[Float32Array, ...]]:
    return [segment.motion.parts for segment in segments]


def _pad_and_stack(arrays: Sequence[Float32Array]) -> Tensor:
    """Arrays `[rows, columns]` as one `[batch, rows, columns]`, zeros behind those that are smaller."""
    rows, columns = (max(array.shape[axis] for array in arrays) for axis in (0, 1))
    filled = np.zeros((len(arrays), rows, columns), np.float32)
    for target, array in zip(filled, arrays, strict=True):
        target[: array.shape[0], : array.shape[1]] = array
    return torch.from_numpy(filled)
