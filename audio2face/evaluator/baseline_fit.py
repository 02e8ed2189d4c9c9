"""Fits the baselines of an evaluation to the training clips of a run: the same data that its network was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from audio2face.console import track
from audio2face.errors import UserError
from audio2face.evaluator.baseline_faces import BaselineFaces, FaceShape, TrainingShot, features_of, neutral_values
from audio2face.inference.actor import DisplayData
from audio2face.model_folder import DeployedModel
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.clips import TrainingClip
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.motion import ShotMotion
from audio2face.training.run_folder import TrainingRun
from audio2face.types import Float32Array

MOST_FRAMES = 60_000  # of an actor that baselines are fitted to: 140 MB of features


def fit_to_run(run: TrainingRun, model: DeployedModel, actors: tuple[str, ...]) -> Mapping[str, BaselineFaces]:
    """The baselines of some actors.

    Args:
        run: the training run.
        model: its deployed folder.
        actors: the actors.

    Raises:
        UserError: data that the run was trained on are gone or have changed.
    """
    configuration = run.configuration
    data = TrainingData.open(configuration.dataset, configuration.train, run.preproc["preproc_run_name_full"])
    return {source.actor: _fit(data, source, model) for source in data.sources if source.actor in actors}


def _fit(data: TrainingData, source: ActorSource, model: DeployedModel) -> BaselineFaces:
    clips = [clip for clip in data.training_clips if clip.shot.actor == source.actor and clip.audio is not None]
    frames = sum(clip.num_frames for clip in clips)
    if not frames:
        raise UserError(f"actor {source.actor!r} has no training clip with speech")
    shape = face_shape(source, model)
    stride = -(-frames // MOST_FRAMES)
    resampler = data.recordings.resampler
    shots = []
    for clip in track(clips, frames, f"{source.actor}: fitting baselines", lambda clip: clip.num_frames):
        assert clip.audio is not None  # filtered above
        features = features_of(clip.audio, clip.audio_start, clip.num_frames, clip.shot.fps, resampler)
        values = _values(data.motions[clip.shot.id], clip, shape)
        shots.append(TrainingShot(features=features[::stride].astype(np.float32), values=values[::stride]))
    return BaselineFaces.fit(shots, neutral_values(shape, *_neutral(source)), shape, resampler)


def face_shape(source: ActorSource, model: DeployedModel) -> FaceShape:
    """How values of an actor's components become its face."""
    display = DisplayData.from_actor(model.actor(source.actor))
    counts = source.info.counts
    jaw = source.raw.jaw_keypoints_neutral
    return FaceShape(
        skin=source.skin,
        tongue=source.tongue if source.raw.has_tongue else None,
        jaw=np.zeros((0, 3), np.float32) if jaw is None else jaw,
        eye_angles=2 * counts["num_angles_eye"] if source.raw.eye_animation is not None else 0,
        tongue_to_jaw=display.tongue_to_jaw,
    )


def _values(motion: ShotMotion, clip: TrainingClip, shape: FaceShape) -> Float32Array:
    parts = zip(motion.parts, shape.sizes, strict=True)
    chosen = [part[clip.first : clip.last + 1, :size] for part, size in parts]
    return np.concatenate(chosen, axis=1)


def _neutral(source: ActorSource) -> tuple[Float32Array, Float32Array | None]:
    """The neutral skin and tongue: the dataset's, or the mean of the components."""
    skin = source.raw.skin_neutral
    return source.skin.mean if skin is None else skin, source.raw.tongue_neutral if source.raw.has_tongue else None
