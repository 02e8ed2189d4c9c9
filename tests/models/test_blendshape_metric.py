"""Coefficients of shapes that are not orthonormal: losses and projections measure the mesh all the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio2face.evaluator.baseline_faces import project, reconstruct
from audio2face.geometry.pca import coefficient_metric, dual_components
from audio2face.models.diffusion.loss import ActorGeometry, DiffusionLoss, DiffusionLossWeights
from audio2face.models.layers import ChannelSizes
from audio2face.models.streaming.loss import StreamingGeometry, StreamingLoss, StreamingLossWeights
from audio2face.preproc.network_data import PcaComponents

RNG = np.random.default_rng(0)
MEAN = RNG.normal(size=(12, 3)).astype(np.float32)
SHAPES = (RNG.normal(size=(4, 12, 3)) + 1).astype(np.float32) * np.float32([1, 3, 0.5, 2])[:, None, None]
ORTHONORMAL = np.linalg.qr(SHAPES.reshape(4, -1).T)[0].T.reshape(SHAPES.shape).astype(np.float32)


def test_differences_are_distances() -> None:
    metric = coefficient_metric(SHAPES)
    assert metric is not None
    difference = RNG.normal(size=(5, 4))
    moved = np.linalg.norm(np.tensordot(difference, SHAPES, axes=1).reshape(5, -1), axis=1)
    np.testing.assert_allclose(np.linalg.norm(difference @ metric, axis=1), moved, rtol=0.05)  # the floor is 1 %
    assert coefficient_metric(ORTHONORMAL) is None


def test_a_shape_that_moves_nothing_counts_a_little() -> None:
    metric = coefficient_metric(np.concatenate([SHAPES, np.zeros((1, 12, 3), np.float32)]))
    assert metric is not None
    assert 0.05 < metric[4, 4] / np.sqrt((np.diag(metric[:4, :4]) ** 2).mean()) < 0.2


@pytest.mark.parametrize("shapes", [SHAPES, ORTHONORMAL], ids=["shapes", "orthonormal"])
def test_a_pose_is_found_again(shapes: np.ndarray) -> None:
    components = PcaComponents(shapes, MEAN)
    coefficients = RNG.uniform(0, 1, (1, 4)).astype(np.float32)
    np.testing.assert_allclose(
        project(components, reconstruct(components, coefficients)[0]), coefficients[0], atol=1e-5
    )


def test_the_lips_of_a_diffusion_network_are_those_of_the_nearest_pose() -> None:
    """Vertices that shapes pose have the lips that they have: the projection changes nothing."""
    lips = torch.tensor([[0, 1], [6, 7]])
    dual = torch.from_numpy(dual_components(SHAPES.reshape(4, -1)).reshape(SHAPES.shape))
    face = ActorGeometry(
        scale=1.0,
        translate=torch.zeros(3),
        mean=torch.from_numpy(MEAN),
        components=torch.from_numpy(SHAPES),
        lips=lips,
        dual=dual,
    )
    loss = DiffusionLoss(ChannelSizes(36, 0, 0, 0), DiffusionLossWeights(1.0, 1.0, 1.0, 0.0, None, None), [face])
    posed = reconstruct(PcaComponents(SHAPES, MEAN), RNG.uniform(0, 1, (6, 4)).astype(np.float32))
    skin = torch.from_numpy(posed.reshape(1, 6, 36))
    assert float(loss(skin, skin, [0]).terms["lip_dist"]) == pytest.approx(0, abs=1e-6)


def test_the_error_of_a_streaming_network_is_that_of_the_mesh() -> None:
    """With either basis of the same space, an error of the mesh costs the same."""
    rotated = np.linalg.lstsq(ORTHONORMAL.reshape(4, -1).T, SHAPES.reshape(4, -1).T, rcond=None)[0]
    weights = torch.from_numpy(RNG.uniform(0, 1, (2, 3, 5, 4)).astype(np.float32))
    plain = weights @ torch.from_numpy(rotated.T.astype(np.float32))
    own = weights[0].reshape(-1, 4).numpy()
    costs = []
    for shapes, (predicted, true) in ((SHAPES, weights), (ORTHONORMAL, plain)):
        metric = coefficient_metric(shapes)
        frames = np.tensordot(own, SHAPES, axes=1).reshape(len(own), -1)
        face = StreamingGeometry(
            mean=torch.from_numpy(MEAN),
            components=torch.from_numpy(shapes),
            deviation=plain[0].reshape(-1, 4).std(dim=0, correction=0),
            metric=None if metric is None else torch.from_numpy(metric),
            spread=float(np.sqrt(frames.var(axis=0).sum())),
        )
        settings = StreamingLossWeights(
            mse=1.0, velocity=None, lip_position=None, lip_distance=None, lip_distance_exponent=1, tongue=1, jaw=1
        )
        costs.append(float(StreamingLoss(ChannelSizes(4, 0, 0, 0), settings, [face])(predicted, true, [0] * 3).total))
    assert costs[0] == pytest.approx(costs[1], rel=0.05)
