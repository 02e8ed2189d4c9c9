"""How well a diffusion network animates clips that it never learnt from: sampled as at inference, with fixed noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from audio2face.config import InferenceDiffusion, TrainDiffusion
from audio2face.evaluate.lips import FloatArray, score_lips
from audio2face.networks.diffusion_process import drawn_noise
from audio2face.networks.diffusion_rnn import Network
from audio2face.networks.diffusion_sampling import sample_clip
from audio2face.networks.noise_schedule import make_noise_schedule
from audio2face.training.batches import SegmentBatch
from audio2face.training.data import TrainingData
from audio2face.training.poses import PoseMaker

LIP_ERROR, LIP_CORRELATION, SKIN_ERROR = "lip_error_mm", "lip_correlation", "skin_error_mm"
_SEED = 0  # the same noise every time, so that validations can be compared
_MM_PER_CM = 10.0


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
        """Tries the network; nothing where nothing is held out.

        Returns:
            `skin_error_mm`: distance of a vertex from its true place, mean over vertices, frames, then clips; and,
            where lips are marked, what `score_lips` gives.
        """
        skin_errors: dict[int, list[Tensor]] = {}
        lips: dict[int, list[tuple[FloatArray, FloatArray]]] = {}
        for plan in self._plans:
            clip = plan.draws[0].clip
            for error, pair in self._piece(self._loader.load(plan)):
                skin_errors.setdefault(clip, []).append(error)
                if pair is not None:
                    lips.setdefault(clip, []).append(pair)
        if not skin_errors:
            return {}
        metrics = {SKIN_ERROR: float(np.mean([torch.cat(errors).mean().item() for errors in skin_errors.values()]))}
        if lips:
            score = score_lips(*_whole(lips))
            metrics |= {LIP_ERROR: score.error_mm, LIP_CORRELATION: score.correlation}
        return metrics

    def _piece(self, batch: SegmentBatch) -> Iterator[tuple[Tensor, tuple[FloatArray, FloatArray] | None]]:
        """Samples one clip or piece of it, block by block: errors `[frames]` and lips, predicted and true."""
        network, inference = self._network, self._inference
        batch = batch.to(network.neutral.device)
        true = self._poses(batch)
        conditions = network.conditions(network.encode(batch.audio), true.shape[1], batch.actor, batch.emotion)
        noise = drawn_noise(1, true.shape[2], torch.Generator().manual_seed(_SEED), network.neutral.device)
        sampled = sample_clip(
            network,
            self._schedule,
            conditions,
            noise,
            skip_steps=inference.SKIP_STEPS,
            deterministic=inference.USE_DDIM,
        )
        start, skin, actor = 0, network.settings.skin_size, batch.actors[0]
        for values in sampled:
            stop = start + values.shape[1]
            pair = [
                side.float().unflatten(-1, (-1, 3)) * self._scales[actor]
                for side in (values[0, :, :skin], true[0, start:stop, :skin])
            ]
            start = stop
            yield _MM_PER_CM * (pair[0] - pair[1]).norm(dim=-1).mean(dim=-1).cpu(), self._lips_of(actor, *pair)

    def _lips_of(self, actor: int, predicted: Tensor, true: Tensor) -> tuple[FloatArray, FloatArray] | None:
        marked = self._lips[actor]
        if marked is None:
            return None
        return predicted[:, marked].cpu().numpy(), true[:, marked].cpu().numpy()


def _whole(
    lips: Mapping[int, Sequence[tuple[FloatArray, FloatArray]]],
) -> tuple[list[FloatArray], list[FloatArray]]:
    """The pieces of each clip put together: predicted and true lips, one array per clip."""
    predicted = [np.concatenate([piece[0] for piece in pieces]) for pieces in lips.values()]
    true = [np.concatenate([piece[1] for piece in pieces]) for pieces in lips.values()]
    return predicted, true
