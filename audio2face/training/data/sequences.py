"""The implicit emotions of a training as the table that is deployed, and the row of it that a network is driven with.

Knows frames and shots. Knows no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audio2face.config.merge import nearest
from audio2face.config_base.types import AnimationParametersRegression
from audio2face.dataset.emotions import EmotionVectors
from audio2face.errors import UserError
from audio2face.geometry.frame_times import lerp
from audio2face.model_folder.emotion_database import EmotionDatabase
from audio2face.training.data.audio import AudioWindows
from audio2face.training.data.clips import TrainingClip, TrainingShot
from audio2face.training.data.features import CachedFeatures
from audio2face.training.data.motion import ShotMotion
from audio2face.training.data.phonemes import PhonemeTables
from audio2face.training.data.samplers import SequenceBatchSpec
from audio2face.training.data.segments import PREFETCH_BATCHES, TensorBatch, prefetch, suspect_items
from audio2face.types import BoolArray, Float32Array, Float64Array, Int64Array


def num_rows(shots: Iterable[TrainingShot]) -> int:
    """Rows for all frames of all shots."""
    return max(shot.first_global_frame + shot.num_frames for shot in shots)


def emotion_database(
    rows: Float32Array,
    shots: Sequence[TrainingShot],
    clips: Sequence[TrainingClip],
    learnt: Sequence[TrainingClip],
    *,
    compact: bool,
) -> EmotionDatabase:
    """The table by shot.

    Rows of frames that nothing was learnt from are as chance made them; here they are the mean of all that were learnt.

    Args:
        rows: `[frames of all shots, length]`.
        shots: all shots.
        clips: all clips.
        learnt: those of them that were learnt from.
        compact: keeps the frames of clips only; the frames of a shot are counted anew then.
    """
    trained = np.unique(np.concatenate([_global_frames(clip) for clip in learnt]))
    table = np.tile(rows[trained].mean(axis=0, dtype=np.float64).astype(np.float32), (len(rows), 1))
    table[trained] = rows[trained]
    kept = _kept_frames(shots, clips, compact=compact)
    sizes = [len(frames) for _, frames in kept]
    return EmotionDatabase(
        names=tuple(shot.id for shot, _ in kept),
        starts=tuple(np.cumsum([0, *sizes])[:-1].tolist()),
        sizes=tuple(sizes),
        rows=table[np.concatenate([shot.first_global_frame + frames for shot, frames in kept])],
    )


def check_source(
    config: AnimationParametersRegression,
    shots: Sequence[TrainingShot],
    clips: Sequence[TrainingClip],
    *,
    compact: bool,
) -> None:
    """Makes sure that the frame whose implicit emotion is to drive the network will be in the table.

    Args:
        config: CONFIG of the inference configuration, with source_shot and source_frame; either may be None.
        shots: see `emotion_database`.
        clips: see `emotion_database`.
        compact: see `emotion_database`.

    Raises:
        UserError: there is no such shot or frame.
    """
    name, frame = config["source_shot"], config["source_frame"]
    if name is None:
        return
    sizes = {shot.id: len(frames) for shot, frames in _kept_frames(shots, clips, compact=compact)}
    if name not in sizes:
        close = nearest(name, list(sizes))
        meant = f"; did you mean {close!r}?" if close else ""
        raise UserError(
            f"CONFIG['source_shot'] is {name!r}, a shot that training does not know{meant}",
            hint="Name a shot of CLIPS in config_inference.py, or None to let one be chosen.",
        )
    if frame is not None and frame >= sizes[name]:
        counted = ", counted without the frames that COMPACTIFY_IMPLICIT_EMO_DB leaves out" if compact else ""
        raise UserError(
            f"CONFIG['source_frame'] is {frame}, and shot {name!r} has {sizes[name]} frames{counted}",
            hint=f"Choose one up to {sizes[name] - 1} in config_inference.py.",
        )


def _kept_frames(
    shots: Sequence[TrainingShot], clips: Sequence[TrainingClip], *, compact: bool
) -> list[tuple[TrainingShot, Int64Array]]:
    """The shots of the table in order, and which of their frames it holds."""
    ordered = sorted(shots, key=lambda shot: shot.first_global_frame)
    if not compact:
        return [(shot, np.arange(shot.num_frames)) for shot in ordered]
    used: dict[str, list[Int64Array]] = {}
    for clip in clips:
        used.setdefault(clip.shot.id, []).append(np.arange(clip.first, clip.last + 1))
    return [(shot, np.unique(np.concatenate(used[shot.id]))) for shot in ordered if shot.id in used]


def _global_frames(clip: TrainingClip) -> Int64Array:
    return clip.shot.first_global_frame + np.arange(clip.first, clip.last + 1)


@dataclass(frozen=True, eq=False)
class SequenceBatch(TensorBatch):
    """What one step learns from.

    Attributes:
        plan: what was drawn.
        names: clip and frame of each item that counts, for messages.
        clips: index of each item's clip, int64 `[batch]`.
        audio: windows at their own level, float32 `[batch, sequence, samples]`.
        norm_factor: what they are divided by for autocorrelation, float32 `[batch]`.
        values: coefficients of skin and tongue, jaw, eyes, float32 `[batch, sequence, values]`.
        known: whether skin, tongue, jaw and eyes are data to train on, bool `[batch, 4]` on the host.
        emotion: explicit emotion, float32 `[batch, emotions]`.
        frames: number of each frame when those of all shots are counted through, int64 `[batch, sequence]`.
        hidden: hidden layers of the speech encoder, float16 `[batch * sequence, layers, steps, features]`; None: they
            are made from the audio.
        phonemes: probabilities of the phonemes of each item's language, float32 `[batch, sequence, rows, widest]`;
            None: they are not learnt.
        languages: number of each item's language, int64 `[batch]` on the host; -1: nothing is known of it.
    """

    spec: SequenceBatchSpec
    sample_ids: tuple[str, ...]
    clips: Tensor
    audio: Tensor
    norm_factor: Tensor
    values: Tensor
    valid: BoolArray
    emotion: Tensor
    frames: Tensor
    hidden: Tensor | None = None
    phonemes: Tensor | None = None
    languages: Int64Array | None = None

    @property
    def num_frames(self) -> int:
        """Frames of all items that count."""
        return 0 if self.spec.is_padding else self.frames.numel()

    def suspects(self) -> Sequence[str]:
        """See `suspect_items`."""
        data = (self.audio, self.norm_factor, self.values, self.emotion, self.hidden, self.phonemes)
        return suspect_items(self.sample_ids, data)

    def hidden_layers(self) -> Tensor | None:
        """Hidden layers as the network takes them, float32 `[layers, batch * sequence, steps, features]`."""
        return None if self.hidden is None else self.hidden.float().transpose(0, 1)


@dataclass(frozen=True, eq=False)
class MotionBuffer:
    """The motion of all shots that have clips, one after the other.

    Attributes:
        values: float32 `[frames, values]`.
        first: row of the first frame of each clip's shot, `[clips]`.
        frames: frames of each clip's shot, `[clips]`.
        known: see `Motion`, bool `[clips, 4]`.
    """

    values: Float32Array
    first: Int64Array
    frames: Int64Array
    valid: BoolArray

    @classmethod
    def from_clips(
        cls, clips: Sequence[TrainingClip], motions: Mapping[str, ShotMotion], scales: Sequence[float]
    ) -> MotionBuffer:
        """Lays out the motion of the clips' shots.

        Args:
            clips: the clips.
            motions: by the id of the shot.
            scales: what skin, tongue, jaw and eyes are divided by.
        """
        shots = list(dict.fromkeys(clip.shot.id for clip in clips))
        blocks = [motions[shot].parts for shot in shots]
        ends = np.cumsum([0, *(len(parts[0]) for parts in blocks)]).tolist()
        starts = dict(zip(shots, ends, strict=False))
        width = sum(part.shape[1] for part in next(iter(motions.values())).parts)
        values = np.empty((ends[-1], width), np.float32)
        for start, stop, parts in zip(ends, ends[1:], blocks, strict=False):
            scaled = [part / np.float32(scale) for part, scale in zip(parts, scales, strict=True)]
            values[start:stop] = np.concatenate(scaled, axis=1)
        return cls(
            values,
            np.array([starts[clip.shot.id] for clip in clips], np.int64),
            np.array([motions[clip.shot.id].num_frames for clip in clips], np.int64),
            np.array([motions[clip.shot.id].known for clip in clips], bool).reshape(-1, len(scales)),
        )

    def interpolate(self, clips: Int64Array, frames: Float64Array) -> Float32Array:
        """Values at times between frames, by linear interpolation; beyond its ends a shot stands still.

        Args:
            clips: of each item, `[items]`.
            frames: positions in frames of the shot, `[items, length]`.

        Returns:
            `[items, length, values]`.
        """
        last = self.frames[clips, None] - 1
        frames = np.clip(frames, 0, last)
        lower = np.floor(frames).astype(np.int64)
        weight = (frames - lower).astype(np.float32)
        first, upper = self.first[clips, None], np.minimum(lower + 1, last)
        return np.asarray(lerp(self.values[first + lower], self.values[first + upper], weight), np.float32)


@dataclass(frozen=True)
class SequenceLoader:
    """Loads the batches that plans ask for.

    Attributes:
        clips: the clips that plans refer to.
        length: frames of a sequence.
        motion: their motion.
        windows: their sound.
        emotions: how emotions become vectors.
        features: what the speech encoder made of the windows; None: it is asked at every step.
        phonemes: their phonemes; None: they are not learnt.
    """

    clips: Sequence[TrainingClip]
    length: int
    motion: MotionBuffer
    windows: AudioWindows
    emotions: EmotionVectors
    features: CachedFeatures | None = None
    phonemes: PhonemeTables | None = None

    @property
    def clip_frames(self) -> list[int]:
        """Length of every clip."""
        return [clip.num_frames for clip in self.clips]

    def load(self, plan: SequenceBatchSpec) -> SequenceBatch:
        """Loads one batch; uses no global state, so that it may run on any thread.

        Raises:
            UserError: a recording cannot be read.
        """
        clips, shifts = plan.clips, plan.time_shifts
        chosen = [self.clips[clip] for clip in clips.tolist()]
        firsts = np.array([clip.first for clip in chosen]) + plan.starts
        frames = firsts[:, None] + np.arange(self.length)
        rows = np.array([clip.shot.first_global_frame for clip in chosen])[:, None] + frames
        audio = self.windows.read(clips, frames, shifts, plan.augmentation_ids)
        names = tuple(f"{clip} at {start}" for clip, start in zip(chosen, plan.starts.tolist(), strict=True))
        phonemes = self.phonemes
        return SequenceBatch(
            spec=plan,
            sample_ids=() if plan.is_padding else names,
            clips=torch.from_numpy(clips),
            audio=torch.from_numpy(audio),
            norm_factor=torch.from_numpy(self.windows.norm_factors(clips)),
            values=torch.from_numpy(self.motion.interpolate(clips, frames + shifts[:, None])),
            valid=self.motion.valid[clips],
            emotion=torch.from_numpy(np.stack([self.emotions.vector(clip.shot.emotion) for clip in chosen])),
            frames=torch.from_numpy(rows),
            hidden=None
            if self.features is None
            else self.features.read(clips, plan.starts, plan.augmentation_ids, self.length),
            phonemes=None
            if phonemes is None
            else torch.from_numpy(phonemes.values[phonemes.rows(clips, self.windows.times(clips, frames, shifts))]),
            languages=None if phonemes is None else phonemes.language_of_clip[clips],
        )

    def batches(self, plans: Iterable[SequenceBatchSpec]) -> Iterator[SequenceBatch]:
        """Loads batches in order, `PREFETCH_BATCHES` of them before they are asked for."""
        return prefetch(plans, self.load, PREFETCH_BATCHES)
