"""Segments side by side as tensors, loaded in the background while the network works on the batch before.

Knows how items become a batch. What is in an item, and how it is drawn, is decided elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audio2face.dataset.arrays import Float32Array
from audio2face.dataset.emotions import EmotionVectors
from audio2face.networks.parts import PartSizes
from audio2face.training.sampler import Plan
from audio2face.training.segments import Segment, SegmentReader

Order = TypeVar("Order")
Loaded = TypeVar("Loaded")

BoolArray = npt.NDArray[np.bool_]

BATCHES_AHEAD = 3
_LARGEST = 1e6  # no sample, coefficient, centimetre or degree comes near it


@dataclass(frozen=True, eq=False)
class OnDevice:
    """A batch, some of whose fields are tensors."""

    def to(self, device: torch.device | str) -> Self:
        """The batch on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **moved)


def value_mask(known: BoolArray, sizes: PartSizes, device: torch.device) -> Tensor | None:
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
class SegmentBatch(OnDevice):
    """What one step learns from; motion still in coefficients (`PoseMaker` makes poses of it on the device).

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

    plan: Plan
    names: tuple[str, ...]
    actors: tuple[int, ...]
    skin: Tensor
    tongue: Tensor
    jaw: Tensor
    eye: Tensor
    audio: Tensor
    emotion: Tensor
    actor: Tensor
    known: BoolArray
    lengths: Tensor | None = None
    audio_lengths: Tensor | None = None

    @property
    def num_frames(self) -> int:
        """Frames of all items that count, padding left out."""
        return 0 if self.plan.is_idle else sum(draw.num_frames for draw in self.plan.draws)

    def suspects(self) -> Sequence[str]:
        """See `suspect_items`."""
        return suspect_items(self.names, (self.audio, self.skin, self.tongue, self.jaw, self.eye, self.emotion))

    def between(self, start: int, stop: int) -> Self:
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

    def load(self, plan: Plan) -> SegmentBatch:
        """Loads one batch; uses no global state, so that it may run on any thread."""
        clips = [self.reader.clips[draw.clip] for draw in plan.draws]
        segments = [self.reader.read(draw) for draw in plan.draws]
        actors = tuple(self.actor_names.index(clip.shot.actor) for clip in clips)
        lengths = [draw.num_frames for draw in plan.draws]
        is_padded = len(set(lengths)) > 1
        names = tuple(f"{clip} at {draw.start}" for clip, draw in zip(clips, plan.draws, strict=True))
        skin, tongue, jaw, eye = (_side_by_side(parts) for parts in zip(*_parts(segments), strict=True))
        return SegmentBatch(
            plan=plan,
            names=() if plan.is_idle else names,
            actors=actors,
            skin=skin,
            tongue=tongue,
            jaw=jaw,
            eye=eye,
            audio=_side_by_side([segment.audio[:, None] for segment in segments])[..., 0],
            emotion=torch.from_numpy(np.stack([self.emotions.vector(clip.shot.emotion) for clip in clips])),
            actor=torch.nn.functional.one_hot(torch.tensor(actors), len(self.actor_names)).float(),
            known=np.array([segment.motion.known for segment in segments]),
            lengths=torch.tensor(lengths) if is_padded else None,
            audio_lengths=torch.tensor([len(segment.audio) for segment in segments]) if is_padded else None,
        )

    def batches(self, plans: Iterable[Plan]) -> Iterator[SegmentBatch]:
        """Loads batches in order, `BATCHES_AHEAD` of them before they are asked for."""
        return ahead(plans, self.load, BATCHES_AHEAD)


def ahead(orders: Iterable[Order], load: Callable[[Order], Loaded], count: int) -> Iterator[Loaded]:
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


def _side_by_side(arrays: Sequence[Float32Array]) -> Tensor:
    """Arrays `[rows, columns]` as one `[batch, rows, columns]`, zeros behind those that are smaller."""
    rows, columns = (max(array.shape[axis] for array in arrays) for axis in (0, 1))
    filled = np.zeros((len(arrays), rows, columns), np.float32)
    for target, array in zip(filled, arrays, strict=True):
        target[: array.shape[0], : array.shape[1]] = array
    return torch.from_numpy(filled)
