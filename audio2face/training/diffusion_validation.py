"""How well a diffusion network animates clips that it never learnt from: sampled as at inference, with fixed noise."""

from __future__ import annotations

import numpy as np
import torch

from audio2face.config import InferenceDiffusion, TrainDiffusion
from audio2face.networks.diffusion_process import drawn_noise
from audio2face.networks.diffusion_rnn import Network
from audio2face.networks.diffusion_sampling import sample_clip
from audio2face.networks.noise_schedule import make_noise_schedule
from audio2face.training.batches import SegmentBatch
from audio2face.training.data import TrainingData
from audio2face.training.face_scores import FaceScores
from audio2face.training.poses import PoseMaker

_SEED = 0  # the same noise every time, so that validations can be compared


class DiffusionValidation:
    """Samples held-out clips.

    Args:
        network: in evaluation mode when it is run.
        poses: makes the true poses.
        data: all clips.
        train: settings of training.
        inference: steps of sampling.
    """

    def __init__(
        self,
        network: Network,
        poses: PoseMaker,
        data: TrainingData,
        train: TrainDiffusion,
        inference: InferenceDiffusion,
    ) -> None:
        self._network, self._poses = network, poses
        self._loader, self._plans = data.validation_segments(train)
        self._schedule = make_noise_schedule(
            train.DIFFUSION_NOISE_SCHEDULE, train.DIFFUSION_STEPS, inference.TIMESTEP_RESPACING
        )
        self._inference = inference
        # What undoes the normalisation of differences: the translation falls out.
        self._scales = [
            source.info.scale["skin"] if train.RESCALE_TARGET_CHANNEL_DATA else 1.0 for source in data.sources
        ]
        lists = [source.raw.lip_dist for source in data.sources]
        self._lips = [None if found is None else np.stack([found.upper, found.lower]) for found in lists]

    @property
    def has_lips(self) -> bool:
        """Whether the lips of any held-out clip are known."""
        return any(
            self._lips[self._loader.actor_names.index(clip.shot.actor)] is not None
            for clip in self._loader.reader.clips
        )

    def run(self) -> dict[str, float]:
        """Tries the network, see `FaceScores`; nothing where nothing is held out."""
        scores = FaceScores()
        for plan in self._plans:
            self._clip(self._loader.load(plan), scores)
        return scores.metrics()

    def _clip(self, batch: SegmentBatch, scores: FaceScores) -> None:
        """Samples a clip, block by block; poses are held of one block at a time."""
        network, inference = self._network, self._inference
        batch = batch.to(network.neutral.device)
        frames, sizes = batch.skin.shape[1], network.settings.sizes
        conditions = network.conditions(network.encode(batch.audio), frames, batch.actor, batch.emotion)
        noise = drawn_noise(1, sizes.total, torch.Generator().manual_seed(_SEED), network.neutral.device)
        sampled = sample_clip(
            network,
            self._schedule,
            conditions,
            noise,
            skip_steps=inference.SKIP_STEPS,
            deterministic=inference.USE_DDIM,
        )
        start, actor = 0, batch.actors[0]
        for values in sampled:
            stop = start + values.shape[1]
            true = self._poses(batch.between(start, stop))
            predicted, truth = (
                side[0, :, : sizes.skin].unflatten(-1, (-1, 3)) * self._scales[actor] for side in (values, true)
            )
            start = stop
            scores.add(batch.plan.draws[0].clip, predicted, truth, self._lips[actor])
