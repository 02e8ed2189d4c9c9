"""How well a regression network animates clips that it never learnt from: driven as when deployed, frame by frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from audio2face.networks.regression import RegressionNetwork
from audio2face.training.face_scores import FaceScores
from audio2face.training.sequence_batches import SequenceLoader
from audio2face.training.sequences import SequencePlan
from audio2face.training.sources import ActorSource

FRAMES_AT_ONCE = 64


class RegressionValidation(nn.Module):
    """Predicts held-out clips; holds the shapes of the skin, which are no weights.

    Args:
        network: in evaluation mode when it is run.
        source: the actor.
    """

    shapes: Tensor

    def __init__(self, network: RegressionNetwork, source: ActorSource) -> None:
        super().__init__()
        self._network = [network]  # in a list, so that it is no part of this module
        shapes = source.skin.matrix.reshape(len(source.skin.matrix), -1)
        self.register_buffer("shapes", torch.from_numpy(np.ascontiguousarray(shapes, np.float32)), persistent=False)
        lips = source.raw.lip_dist
        self.lips = None if lips is None else np.stack([lips.upper, lips.lower])

    def run(self, loader: SequenceLoader, plans: tuple[SequencePlan, ...], implicit: Tensor) -> dict[str, float]:
        """Tries the network, see `FaceScores`; nothing where nothing is held out.

        Args:
            loader: of the held-out clips.
            plans: their frames in order.
            implicit: the row of implicit emotions that drives the network, `[length]`.
        """
        (network,), scores = self._network, FaceScores()
        for plan in plans:
            batch = loader.load(plan).to(self.shapes.device)
            emotion = torch.cat([implicit.expand(len(batch.emotion), -1), batch.emotion], dim=-1)[:, None]
            predicted = network(batch.audio, emotion, hidden=batch.hidden_layers()).values.float()
            scores.add(int(plan.clips[0]), self._skin(predicted), self._skin(batch.values), self.lips)
        return scores.metrics()

    def _skin(self, values: Tensor) -> Tensor:
        """Displacements from the mean `[frames, verts, 3]` of values `[frames, 1, values]`."""
        moved: Tensor = values[:, 0, : len(self.shapes)] @ self.shapes
        return moved.reshape(len(values), -1, 3)
