"""Sequences of frames, the batches of a regression training, and the table of implicit emotions that it deploys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audio2face.config.values import nearest
from audio2face.config_base.types import AnimationParametersRegression
from audio2face.dataset.shots import EmotionVectors
from audio2face.errors import UserError
from audio2face.geometry.frames import lerp
from audio2face.model_folder.regression import EmotionDatabase
from audio2face.models.losses import PhonemeTargets
from audio2face.training.data.audio import AudioWindows
from audio2face.training.data.clips import TrainingClip, TrainingShot
from audio2face.training.data.features import CachedFeatures
from audio2face.training.data.motion import ShotMotion
from audio2face.training.data.phonemes import PhonemeTables
from audio2face.training.data.pseudo_labels import group_sizes
from audio2face.training.data.samplers import SequenceBatchSpec
from audio2face.training.task import PREFETCH_BATCHES, TensorBatch, prefetch, suspect_items
from audio2face.types import BoolArray, Float32Array, Float64Array, Int64Array


def num_rows(shots: Iterable[TrainingShot]) -> int:
    """Number of rows of the implicit emotions: one per frame of every shot."""
    return max(shot.first_global_frame + shot.num_frames for shot in shots)


def emotion_database(
    rows: Float32Array,
    shots: Sequence[TrainingShot],
    clips: Sequence[TrainingClip],
    training_clips: Sequence[TrainingClip],
    *,
    compact: bool,
) -> EmotionDatabase:
    """Builds the emotion database, ordered by shot.

    Rows of frames outside the training clips keep their random initialisation in training; here they are replaced by
    the mean of the trained rows.

    Args:
        rows: implicit emotions, `[frames of all shots, length]`.
        shots: all shots.
        clips: all clips.
        training_clips: the clips that the network was trained on.
        compact: keeps only the frames of clips, renumbered within each shot.
    """
    trained = np.unique(np.concatenate([_global_frames(clip) for clip in training_clips]))
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
    """Checks that the frame whose implicit emotion drives the network will be in the emotion database.

    Args:
        config: CONFIG of the inference configuration, with source_shot and source_frame; either may be None.
        shots: all shots.
        clips: all clips.
        compact: whether the database keeps only the frames of clips.

    Raises:
        UserError: the shot or frame is missing from the database.
    """
    name, frame = config["source_shot"], config["source_frame"]
    if name is None:
        return
    sizes = {shot.id: len(frames) for shot, frames in _kept_frames(shots, clips, compact=compact)}
    if name not in sizes:
        close = nearest(name, list(sizes))
        meant = f"; did you mean {close!r}?" if close else ""
        raise UserError(
            f"CONFIG['source_shot'] is {name!r}, which is not a shot of this training{meant}",
            hint="Name a shot of CLIPS in config_inference.py, or None for an automatic choice.",
        )
    if frame is not None and frame >= sizes[name]:
        counted = ", without those that COMPACTIFY_IMPLICIT_EMO_DB removes" if compact else ""
        raise UserError(
            f"CONFIG['source_frame'] is {frame}, and shot {name!r} has {sizes[name]} frames{counted}",
            hint=f"Choose one up to {sizes[name] - 1} in config_inference.py.",
        )


def _kept_frames(
    shots: Sequence[TrainingShot], clips: Sequence[TrainingClip], *, compact: bool
) -> list[tuple[TrainingShot, Int64Array]]:
    """The shots of the database in order, each with the indices of the frames it keeps."""
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
    """The batch of one training step.

    Attributes:
        spec: the sampled sequences.
        sample_ids: clip and first frame of each item, for messages; empty for a padding batch.
        clips: index of each item's clip, int64 `[batch]`.
        audio: windows at their recorded level, float32 `[batch, sequence, samples]`.
        norm_factor: divisor of the audio for autocorrelation, float32 `[batch]`.
        values: coefficients of skin and tongue, jaw, eyes, float32 `[batch, sequence, channels]`.
        valid: whether skin, tongue, jaw and eyes hold data, bool `[batch, 4]` on the host.
        emotion: explicit emotion, float32 `[batch, emotions]`.
        frames: global index of each frame over all shots, int64 `[batch, sequence]`.
        hidden: cached hidden states of the speech encoder, float16 `[batch * sequence, layers, steps, features]`; None:
            the encoder computes them from the audio.
        phonemes: probabilities of the phonemes of each item's language, float32 `[batch, sequence, rows, widest]`;
            None: training without phoneme loss.
        languages: index of each item's language, int64 `[batch]` on the host; -1: unknown.
        lip_distance_weights: weight of each item in the loss on lip distance, float32 `[batch]`; None: 1.
        lip_size_weights: weight of each item in the loss on lip size, float32 `[batch]`; None: 1.
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
    lip_distance_weights: Tensor | None = None
    lip_size_weights: Tensor | None = None

    @property
    def num_frames(self) -> int:
        """Frames of all items, without padding."""
        return 0 if self.spec.is_padding else self.frames.numel()

    @property
    def group_sizes(self) -> Mapping[str, int]:
        """Number of items of each group, without padding; empty in a training of recorded ones alone."""
        return group_sizes(len(self.sample_ids), self.spec.groups)

    def suspects(self) -> Sequence[str]:
        """Ids of the items whose data can cause a non-finite loss."""
        data = (self.audio, self.norm_factor, self.values, self.emotion, self.hidden, self.phonemes)
        return suspect_items(self.sample_ids, data)

    def hidden_layers(self) -> Tensor | None:
        """Cached hidden states in the layout of the network, float32 `[layers, batch * sequence, steps, features]`."""
        return None if self.hidden is None else self.hidden.float().transpose(0, 1)

    def phoneme_targets(self, sizes: Mapping[str, int]) -> dict[str, PhonemeTargets]:
        """The target phonemes of each language in the batch; empty without phonemes.

        Args:
            sizes: number of phonemes by language, in the order that `languages` counts.
        """
        targets: dict[str, PhonemeTargets] = {}
        if self.phonemes is None or self.languages is None:
            return targets
        for number, (language, size) in enumerate(sizes.items()):
            items = torch.from_numpy(np.flatnonzero(self.languages == number)).to(self.phonemes.device)
            if len(items):
                targets[language] = PhonemeTargets(items, self.phonemes[items][..., :size])
        return targets


@dataclass(frozen=True, eq=False)
class MotionBuffer:
    """The motion of all shots with clips, concatenated.

    Attributes:
        values: float32 `[frames, channels]`.
        first: row of the first frame of each clip's shot, `[clips]`.
        frames: number of frames of each clip's shot, `[clips]`.
        valid: whether skin, tongue, jaw and eyes hold data, bool `[clips, 4]`.
    """

    values: Float32Array
    first: Int64Array
    frames: Int64Array
    valid: BoolArray

    @classmethod
    def from_clips(
        cls, clips: Sequence[TrainingClip], motions: Mapping[str, ShotMotion], scales: Sequence[float]
    ) -> MotionBuffer:
        """Concatenates the motion of the clips' shots.

        Args:
            clips: the clips.
            motions: motion by the id of the shot.
            scales: divisors of skin, tongue, jaw and eyes.
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
            np.array([motions[clip.shot.id].valid for clip in clips], bool).reshape(-1, len(scales)),
        )

    def interpolate(self, clips: Int64Array, frames: Float64Array) -> Float32Array:
        """Channels at fractional frames, by linear interpolation; positions are clamped to the ends of the shot.

        Args:
            clips: clip index of each item, `[items]`.
            frames: positions in frames of the shot, `[items, length]`.

        Returns:
            `[items, length, channels]`.
        """
        last = self.frames[clips, None] - 1
        frames = np.clip(frames, 0, last)
        lower = np.floor(frames).astype(np.int64)
        weight = (frames - lower).astype(np.float32)
        first, upper = self.first[clips, None], np.minimum(lower + 1, last)
        return np.asarray(lerp(self.values[first + lower], self.values[first + upper], weight), np.float32)


@dataclass(frozen=True)
class SequenceLoader:
    """Loads batches from their specs.

    Attributes:
        clips: the clips that specs index.
        length: frames of a sequence.
        motion: motion of the clips.
        windows: audio windows of the clips.
        emotions: maps emotions to vectors.
        features: cached features of the speech encoder; None: the encoder runs at every step.
        phonemes: phonemes of the clips; None: training without phoneme loss.
        lip_distance_weights: weight of the loss on lip distance by emotion, 1 for the others; None: 1 for all.
        lip_size_weights: weight of the loss on lip size by emotion, 1 for the others; None: 1 for all.
    """

    clips: Sequence[TrainingClip]
    length: int
    motion: MotionBuffer
    windows: AudioWindows
    emotions: EmotionVectors
    features: CachedFeatures | None = None
    phonemes: PhonemeTables | None = None
    lip_distance_weights: Mapping[str, float] | None = None
    lip_size_weights: Mapping[str, float] | None = None

    @property
    def clip_frames(self) -> list[int]:
        """Length of every clip in frames."""
        return [clip.num_frames for clip in self.clips]

    def load(self, spec: SequenceBatchSpec) -> SequenceBatch:
        """Loads one batch; thread-safe.

        Raises:
            UserError: a recording cannot be read.
        """
        clips, shifts = spec.clips, spec.time_shifts
        chosen = [self.clips[clip] for clip in clips.tolist()]
        firsts = np.array([clip.first for clip in chosen]) + spec.starts
        frames = firsts[:, None] + np.arange(self.length)
        rows = np.array([clip.shot.first_global_frame for clip in chosen])[:, None] + frames
        audio = self.windows.read(clips, frames, shifts, spec.augmentation_ids)
        names = tuple(f"{clip} at {start}" for clip, start in zip(chosen, spec.starts.tolist(), strict=True))
        phonemes = self.phonemes
        return SequenceBatch(
            spec=spec,
            sample_ids=() if spec.is_padding else names,
            clips=torch.from_numpy(clips),
            audio=torch.from_numpy(audio),
            norm_factor=torch.from_numpy(self.windows.norm_factors(clips)),
            values=torch.from_numpy(self.motion.interpolate(clips, frames + shifts[:, None])),
            valid=self.motion.valid[clips],
            emotion=torch.from_numpy(np.stack([self.emotions.vector(clip.shot.emotion) for clip in chosen])),
            frames=torch.from_numpy(rows),
            hidden=None
            if self.features is None
            else self.features.read(clips, spec.starts, spec.augmentation_ids, self.length),
            phonemes=None
            if phonemes is None
            else torch.from_numpy(phonemes.values[phonemes.rows(clips, self.windows.times(clips, frames, shifts))]),
            languages=None if phonemes is None else phonemes.language_of_clip[clips],
            lip_distance_weights=_weights_by_emotion(self.lip_distance_weights, chosen),
            lip_size_weights=_weights_by_emotion(self.lip_size_weights, chosen),
        )

    def batches(self, specs: Iterable[SequenceBatchSpec]) -> Iterator[SequenceBatch]:
        """Loads batches in order, `PREFETCH_BATCHES` ahead."""
        return prefetch(specs, self.load, PREFETCH_BATCHES)


def _weights_by_emotion(weights: Mapping[str, float] | None, clips: Sequence[TrainingClip]) -> Tensor | None:
    """The loss weight of each clip by its emotion, `[clips]`; None where all are 1."""
    return None if weights is None else torch.tensor([weights.get(clip.shot.emotion, 1.0) for clip in clips])
