"""Losses on faces in motion that belong to no particular network: lips, motion, stillness.

Knows tensors `[batch, frames, ...]`. Of every loss the result is the mean over an item's frames and then over items, so
that a batch counts like its items one by one, whatever their lengths. Lengths, where given, are the number of frames of
each item that are not padding, int64 `[batch]`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_LEAST_SQUARE = 1e-12


_TIP = 1e-3  # of the length unit: where a distance stops counting as its square


@dataclass(frozen=True)
class Losses:
    """The loss that is minimised, and the terms it is made of, before they are weighted."""

    total: Tensor
    terms: dict[str, Tensor]


def frame_mean(per_frame: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean over each item's frames, then over items.

    Args:
        per_frame: `[batch, frames]`; what stands in padding does not matter.
        lengths: see above. An item of no frames counts as 0.

    Returns:
        A scalar.
    """
    batch, frames = per_frame.shape
    if lengths is None:
        return per_frame.sum() / max(batch * frames, 1)
    valid = torch.arange(frames, device=per_frame.device) < lengths[:, None]
    return (per_frame.where(valid, 0).sum(dim=1) / lengths.clamp(min=1)).mean()


def motion_loss(predicted: Tensor, true: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean square of how the change from frame to frame differs from the true one.

    Args:
        predicted: `[batch, frames, values]`.
        true: likewise.
        lengths: see the module.
    """
    change = (predicted - true).diff(dim=1)
    return frame_mean(change.square().mean(dim=-1), _between(lengths))


def stillness_loss(predicted: Tensor, weights: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The weighted mean square of the change from frame to frame, whatever the true one is.

    Args:
        predicted: `[batch, frames, verts * 3]`.
        weights: of each vertex, `[verts]`.
        lengths: see the module.
    """
    change = predicted.diff(dim=1)
    per_vertex = change.square().reshape(*change.shape[:2], len(weights), 3).mean(dim=-1)
    return frame_mean((per_vertex * weights).mean(dim=-1), _between(lengths))


def lip_distance_loss(
    predicted: Tensor,
    true: Tensor,
    exponent: float,
    item_weights: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """The mean square of the error in how far the lips are apart, fading where they truly are open.

    An error counts by exp(-exponent * true distance), applied before squaring; lips that overlap count as closed.

    Args:
        predicted: height of the upper above the lower lip at pairs of vertices, `[batch, frames, pairs]`.
        true: likewise.
        exponent: per unit of length; 0 weighs open and closed alike.
        item_weights: weight of each item, `[batch]`.
        lengths: see the module.
    """
    closeness = torch.exp(-exponent * true.clamp(min=0))
    per_frame = (closeness * (predicted - true)).square().mean(dim=-1)
    if item_weights is not None:
        per_frame = per_frame * item_weights[:, None]
    return frame_mean(per_frame, lengths)


def lip_size_loss(predicted: Tensor, true: Tensor, item_weights: Tensor | None = None) -> Tensor:
    """The mean square of the error in how thick a lip is.

    Args:
        predicted: height of the top above the bottom of the lip at pairs of vertices, `[batch, frames, pairs]`.
        true: likewise.
        item_weights: weight of each item, `[batch]`.
    """
    return lip_distance_loss(predicted, true, 0.0, item_weights)


def quiet_stillness_loss(predicted: Tensor, loudness: Tensor, exponent: float) -> Tensor:
    """The mean square of the change from frame to frame, fading with loudness.

    A change counts by exp(-exponent * loudness).

    Args:
        predicted: `[batch, frames, values]`.
        loudness: of each item, `[batch]`.
        exponent: per unit of loudness.
    """
    change = predicted.diff(dim=1).square().mean(dim=-1)
    return frame_mean(change * torch.exp(-exponent * loudness)[:, None])


def relative_motion(values: Tensor) -> Tensor:
    """The mean square of the change from frame to frame over the mean square of the values, `[batch, frames, values]`.

    Values that are all but zero count as still.
    """
    size = values.square().mean().clamp(min=_LEAST_SQUARE)
    return frame_mean(values.diff(dim=1).square().mean(dim=-1)) / size


def explained_variance(predicted: Tensor, true: Tensor) -> Tensor:
    """R2: 1 less the mean square error over the variance of the true values; 0 where they do not vary.

    Args:
        predicted: `[batch, frames, ...]`.
        true: likewise; its mean is taken over batch and frames.
    """
    variance = (true - true.mean(dim=(0, 1), keepdim=True)).square().mean()
    error = (predicted - true).square().mean()
    return torch.where(variance > 0, 1 - error / variance, 0.0)


def position_loss(predicted: Tensor, true: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean distance of points from their true places; unlike its square, it is not ruled by the worst frames.

    Args:
        predicted: `[batch, frames, points, 3]`.
        true: likewise.
        lengths: see the module.
    """
    # Rounded at its tip, so that the gradient is defined where a point is in its place.
    distances = ((predicted - true).square().sum(dim=-1) + _TIP * _TIP).sqrt() - _TIP
    return frame_mean(distances.mean(dim=-1), lengths)


def upper_face_weights(face: Tensor, lower_lids: Tensor) -> Tensor:
    """How much each vertex belongs to the front of the face above the lower lids, from 0 to 1.

    The borders are soft, over a width that depends on the distance of the eyes; made for centimetres, y up, z forward.

    Args:
        face: a face at rest, `[verts, 3]`.
        lower_lids: a vertex of the lower lid of either eye, int64 `[2]`.

    Returns:
        `[verts]`.
    """
    lids = face[lower_lids]
    eye_distance = (lids[0] - lids[1]).norm()
    sharpness = eye_distance / 2
    above = torch.sigmoid(sharpness * (face[:, 1] - lids[:, 1].min()))
    in_front = torch.sigmoid(sharpness * (face[:, 2] - (lids[:, 2].mean() - eye_distance)))
    return above * in_front


def _between(lengths: Tensor | None) -> Tensor | None:
    """Number of steps between the frames of each item."""
    return None if lengths is None else (lengths - 1).clamp(min=0)
