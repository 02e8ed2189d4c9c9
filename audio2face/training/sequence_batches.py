"""Sequences side by side as tensors, loaded in the background while the network works on the batch before.

Everything but the windows of audio is read for a whole batch at once. Knows how items become a batch; what is in them
is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audio2face.dataset.arrays import Float32Array
from audio2face.dataset.emotions import EmotionVectors
from audio2face.training.audio_windows import AudioWindows
from audio2face.training.batches import BATCHES_AHEAD, BoolArray, OnDevice, ahead, suspect_items
from audio2face.training.clips import Clip
from audio2face.training.motion import Motion
from audio2face.training.phoneme_tables import PhonemeTables
from audio2face.training.sequences import SequencePlan
from audio2face.training.speech_features import StoredFeatures

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SequenceBatch(OnDevice):
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

    plan: SequencePlan
    names: tuple[str, ...]
    clips: Tensor
    audio: Tensor
    norm_factor: Tensor
    values: Tensor
    known: BoolArray
    emotion: Tensor
    frames: Tensor
    hidden: Tensor | None = None
    phonemes: Tensor | None = None
    languages: IntArray | None = None

    @property
    def num_frames(self) -> int:
        """Frames of all items that count."""
        return 0 if self.plan.is_idle else self.frames.numel()

    def suspects(self) -> Sequence[str]:
        """See `suspect_items`."""
        data = (self.audio, self.norm_factor, self.values, self.emotion, self.hidden, self.phonemes)
        return suspect_items(self.names, data)

    def hidden_layers(self) -> Tensor | None:
        """Hidden layers as the network takes them, float32 `[layers, batch * sequence, steps, features]`."""
        return None if self.hidden is None else self.hidden.float().transpose(0, 1)


@dataclass(frozen=True, eq=False)
class MotionTable:
    """The motion of all shots that have clips, one after the other.

    Attributes:
        values: float32 `[frames, values]`.
        first: row of the first frame of each clip's shot, `[clips]`.
        frames: frames of each clip's shot, `[clips]`.
        known: see `Motion`, bool `[clips, 4]`.
    """

    values: Float32Array
    first: IntArray
    frames: IntArray
    known: BoolArray

    @classmethod
    def of(cls, clips: Sequence[Clip], motions: Mapping[str, Motion], scales: Sequence[float]) -> MotionTable:
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

    def between(self, clips: IntArray, frames: npt.NDArray[np.float64]) -> Float32Array:
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
        share = (frames - lower).astype(np.float32)[..., None]
        first, upper = self.first[clips, None], np.minimum(lower + 1, last)
        moving: Float32Array = self.values[first + lower] * (1 - share) + self.values[first + upper] * share
        return moving


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

    clips: Sequence[Clip]
    length: int
    motion: MotionTable
    windows: AudioWindows
    emotions: EmotionVectors
    features: StoredFeatures | None = None
    phonemes: PhonemeTables | None = None

    @property
    def clip_frames(self) -> list[int]:
        """Length of every clip."""
        return [clip.num_frames for clip in self.clips]

    def load(self, plan: SequencePlan) -> SequenceBatch:
        """Loads one batch; uses no global state, so that it may run on any thread.

        Raises:
            UserError: a recording cannot be read.
        """
        clips, shifts = plan.clips, plan.time_shifts
        chosen = [self.clips[clip] for clip in clips.tolist()]
        firsts = np.array([clip.first for clip in chosen]) + plan.starts
        frames = firsts[:, None] + np.arange(self.length)
        rows = np.array([clip.shot.first_global_frame for clip in chosen])[:, None] + frames
        audio = self.windows.read(clips, frames, shifts, plan.variants)
        names = tuple(f"{clip} at {start}" for clip, start in zip(chosen, plan.starts.tolist(), strict=True))
        phonemes = self.phonemes
        return SequenceBatch(
            plan=plan,
            names=() if plan.is_idle else names,
            clips=torch.from_numpy(clips),
            audio=torch.from_numpy(audio),
            norm_factor=torch.from_numpy(self.windows.norm_factors(clips)),
            values=torch.from_numpy(self.motion.between(clips, frames + shifts[:, None])),
            known=self.motion.known[clips],
            emotion=torch.from_numpy(np.stack([self.emotions.vector(clip.shot.emotion) for clip in chosen])),
            frames=torch.from_numpy(rows),
            hidden=None
            if self.features is None
            else self.features.read(clips, plan.starts, plan.variants, self.length),
            phonemes=None
            if phonemes is None
            else torch.from_numpy(phonemes.values[phonemes.rows(clips, self.windows.times(clips, frames, shifts))]),
            languages=None if phonemes is None else phonemes.language_of_clip[clips],
        )

    def batches(self, plans: Iterable[SequencePlan]) -> Iterator[SequenceBatch]:
        """Loads batches in order, `BATCHES_AHEAD` of them before they are asked for."""
        return ahead(plans, self.load, BATCHES_AHEAD)
