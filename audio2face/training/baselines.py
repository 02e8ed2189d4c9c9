"""Scores the baselines of `evaluate.baselines` on the validation clips, beside the network of a training.

The baselines are fitted to the training clips of each actor, without muted clips, from the recordings as the network
gets them. They are scored at the times at which validation scored the network, against the same ground truth: poses
decoded from the coefficients of preprocessing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from audio2face.audio import Track
from audio2face.console import LOGGER, track
from audio2face.errors import UserError
from audio2face.evaluate.baselines import Baseline, fit_baselines
from audio2face.evaluate.lips import LipScore, score_lips
from audio2face.evaluate.ridge import REACH, speech_features
from audio2face.io.atomic import write_json
from audio2face.training.comparison import COMPARISON_FILE, NETWORK_OUTPUT, BaselineComparison
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.clips import TrainingClip
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.segments import frame_positions, num_target_frames
from audio2face.training.task import Task
from audio2face.types import Float32Array, Float64Array

MOST_FRAMES = 60_000  # of an actor's training that baselines are fitted to: 140 MB of features
_MARGIN = REACH + 0.1  # seconds of a recording read on either side of a clip


@dataclass(frozen=True)
class ValidatedClips:
    """The last validation, clip by clip.

    Attributes:
        data: all clips.
        fps: rate of the compared frames; None: that of each clip.
        scores: lip metrics by index of the validation clip; without clips whose lip vertices are unknown.
    """

    data: TrainingData
    fps: float | None
    scores: Mapping[int, LipScore]


@runtime_checkable
class ComparableTask(Protocol):
    """A `Task` whose validation can be compared with baselines."""

    def validated_clips(self) -> ValidatedClips:
        """The result of the last `validate`, clip by clip."""


def compare_task(task: Task, step: int, folder: Path, *, is_validated: bool) -> BaselineComparison | None:
    """Compares the exported network of a task with the baselines, in the log and in a file of the run.

    A failure is a warning: it is no reason to lose a training.

    Args:
        task: the task; its network has the exported weights and is in evaluation mode.
        step: of these weights.
        folder: of the run.
        is_validated: whether the task's last validation was that of these weights; otherwise it validates again.

    Returns:
        The comparison; None, and no file, where there is nothing to compare, or it failed.
    """
    path = folder / COMPARISON_FILE
    try:
        path.unlink(missing_ok=True)
        validated = _validated_clips(task, is_validated=is_validated)
        if validated is None or not validated.scores:
            LOGGER.info("no comparison with baselines: there is no validation clip with known lip vertices")
            return None
        comparison = compare(validated, step)
        write_json(path, comparison.as_json())
    except (UserError, OSError) as error:
        LOGGER.warning("no comparison with baselines: %s", error)
        return None
    for line in comparison.lines():
        LOGGER.info("%s", line)
    (LOGGER.info if comparison.is_better else LOGGER.warning)("%s", comparison.verdict)
    return comparison


def _validated_clips(task: Task, *, is_validated: bool) -> ValidatedClips | None:
    if not isinstance(task, ComparableTask):
        return None
    if not is_validated:
        with torch.no_grad():
            task.validate()
    return task.validated_clips()


def compare(validated: ValidatedClips, step: int) -> BaselineComparison:
    """Fits the baselines and scores them on the clips that validation scored.

    Args:
        validated: the network's scores.
        step: of its weights.

    Raises:
        UserError: a recording cannot be read, or an actor has no training clip with speech.
    """
    clips = validated.data.validation_clips
    found = [(index, clips[index], score) for index, score in sorted(validated.scores.items())]
    scores: dict[str, dict[int, LipScore]] = {NETWORK_OUTPUT: {index: score for index, _, score in found}}
    for source in validated.data.sources:
        own = [(index, clip) for index, clip, _ in found if clip.shot.actor == source.actor]
        if own:
            face = _Lips(source)
            for baseline in _fit(validated.data, source.actor):
                scores.setdefault(baseline.name, {}).update(
                    {index: _score(baseline, face, validated, clip) for index, clip in own}
                )
    return BaselineComparison(
        step=step,
        clips=tuple(f"{clip}, {clip.speaker}" for _, clip, _ in found),
        shots=tuple(clip.shot.id for _, clip, _ in found),
        lip_error_mm={name: tuple(own[index].error_mm for index, *_ in found) for name, own in scores.items()},
        lip_correlation={name: tuple(own[index].correlation for index, *_ in found) for name, own in scores.items()},
    )


@dataclass(frozen=True)
class _Lips:
    """Decodes the lips of an actor with known lip vertices from coefficients of the skin."""

    source: ActorSource

    @cached_property
    def _vertices(self) -> tuple[Float64Array, Float64Array]:
        pairs, skin = self.source.raw.lip_dist, self.source.skin
        assert pairs is not None  # validation scored the lips of this actor
        marked = np.stack([pairs.upper, pairs.lower])
        return skin.matrix[:, marked].astype(np.float64), skin.mean[marked].astype(np.float64)

    def decode(self, coefficients: Float64Array) -> Float64Array:
        """Positions `[frames, 2, pairs, 3]`, centimetres, of coefficients `[frames, components]`."""
        components, mean = self._vertices
        return np.asarray(np.tensordot(coefficients, components, axes=1) + mean, np.float64)


def _fit(data: TrainingData, actor: str) -> Sequence[Baseline]:
    """The baselines of an actor, which predict coefficients of its skin."""
    clips = [clip for clip in data.training_clips if clip.shot.actor == actor and clip.audio is not None]
    frames = sum(clip.num_frames for clip in clips)
    if not frames:
        raise UserError(f"actor {actor!r} has no training clip with speech")
    stride = -(-frames // MOST_FRAMES)
    features, values = [], []
    for clip in track(clips, frames, f"{actor}: fitting baselines", lambda clip: clip.num_frames):
        coefficients = data.motions[clip.shot.id].skin[clip.first : clip.last + 1 : stride]
        features.append(clip_features(data, clip, len(coefficients), clip.shot.fps, stride))
        values.append(coefficients)
    return fit_baselines(
        features, values, np.zeros(values[0].shape[1])
    )  # coefficients are deltas from the neutral pose


def clip_features(data: TrainingData, clip: TrainingClip, frames: int, fps: float, stride: int = 1) -> Float32Array:
    """Features of every `stride`th frame at `fps` from the start of a clip, float32 `[frames, features]`."""
    assert clip.audio is not None
    whole = data.recordings.track(clip.audio)
    first = max(0, int((clip.audio_start - _MARGIN) * 100))  # of the steps of 10 ms in which speech is analysed
    last = clip.audio_start + frames * stride / fps + _MARGIN
    rate = whole.samplerate
    part = Track(whole.data[round(first * rate / 100) : max(0, round(last * rate))], rate)
    start = (clip.audio_start - first / 100) * fps
    # Of every nth frame only the first of n is asked for, at its own time.
    return speech_features(part, frames, fps / stride, (start + 0.5) / stride - 0.5).astype(np.float32)


def _score(baseline: Baseline, lips: _Lips, validated: ValidatedClips, clip: TrainingClip) -> LipScore:
    fps = validated.fps or clip.shot.fps
    frames = num_target_frames(clip, fps)
    motion = validated.data.motions[clip.shot.id].interpolate(frame_positions(clip, fps, 0, frames))
    predicted = baseline.predict(clip_features(validated.data, clip, frames, fps))
    return score_lips([lips.decode(predicted)], [lips.decode(motion.skin.astype(np.float64))])
