"""From coefficients to the vectors that a network learns: poses made on the device, for the frames of a batch only.

Knows shapes, scales and the order of channels. Knows no files and no clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from audio2face.config_base.types import Channel
from audio2face.preproc.deploy_data import PcaShapes
from audio2face.training.batches import SegmentBatch
from audio2face.training.sources import ActorSource


class PoseMaker(nn.Module):
    """Makes normalised targets of batches; the actors' shapes go where the module goes, and are no weights.

    Poses are `(coefficients x shapes + mean - translate) / scale`, jaw and eyes are divided by their scale (they are
    differences already, so nothing is subtracted), coefficients stay as they are.

    Args:
        sources: the actors in the order of the network.
        channels: TARGET_CHANNELS, the layout of a frame.
        rescale: RESCALE_TARGET_CHANNEL_DATA; without it nothing is subtracted and nothing divided.
    """

    def __init__(self, sources: Sequence[ActorSource], channels: Sequence[Channel], rescale: bool) -> None:
        super().__init__()
        counts = sources[0].info.counts
        widths: dict[Channel, int] = {
            "skin_coeffs": counts["num_shapes_skin"],
            "tongue_coeffs": counts["num_shapes_tongue"],
            "skin_pose": 3 * counts["num_verts_skin"],
            "tongue_pose": 3 * counts["num_verts_tongue"],
            "jaw": 3 * counts["num_keypoints_jaw"],
            "eye": 2 * counts["num_angles_eye"],  # of two eyes
        }
        self.channels = tuple(channels)
        self.widths = [widths[channel] for channel in channels]
        self.actors = nn.ModuleList(_ActorShapes(source, channels, rescale) for source in sources)

    @property
    def num_values(self) -> int:
        """Values of one frame."""
        return sum(self.widths)

    @torch.no_grad()
    def forward(self, batch: SegmentBatch) -> Tensor:
        """Makes the targets of a batch, on the device that it and the shapes are on.

        Returns:
            Float32 `[batch, frames, values]`; the rest pose where an item is padding.
        """
        num_items, num_frames = batch.skin.shape[:2]
        target = batch.skin.new_empty(num_items, num_frames, self.num_values)
        for item, actor in enumerate(batch.actors):
            shapes = self.actors[actor]
            assert isinstance(shapes, _ActorShapes)
            for channel, values in zip(self.channels, torch.split(target[item], self.widths, dim=-1), strict=True):
                shapes.write(channel, batch, item, values)
        return target


class _ActorShapes(nn.Module):
    """Shapes, means and scales of one actor, with the normalisation already in them."""

    def __init__(self, source: ActorSource, channels: Sequence[Channel], rescale: bool) -> None:
        super().__init__()
        scale = {part: value if rescale else 1.0 for part, value in source.info.scale.items()}
        self.jaw_scale, self.eye_scale = scale["jaw"], scale["eye"]
        parts: list[tuple[Channel, str, PcaShapes]] = [
            ("skin_pose", "skin", source.skin),
            ("tongue_pose", "tongue", source.tongue),
        ]
        for channel, part, shapes in parts:
            if channel in channels:
                centre = np.asarray(source.info.translate[part] if rescale else (0.0, 0.0, 0.0), np.float64)
                mean = (shapes.mean - centre) / scale[part]
                self._keep(f"{part}_mean", mean.reshape(-1))
                self._keep(f"{part}_shapes", shapes.matrix.reshape(len(shapes.matrix), -1) / scale[part])

    def write(self, channel: Channel, batch: SegmentBatch, item: int, values: Tensor) -> None:
        """Writes one channel of one item into `values` `[frames, width]`."""
        if channel in ("skin_pose", "tongue_pose"):
            part = channel.removesuffix("_pose")
            mean, shapes = getattr(self, f"{part}_mean"), getattr(self, f"{part}_shapes")
            coefficients = getattr(batch, part)[item, :, : len(shapes)]
            torch.addmm(mean, coefficients, shapes, out=values)
        elif channel == "jaw":
            torch.div(batch.jaw[item], self.jaw_scale, out=values)
        elif channel == "eye":
            torch.div(batch.eye[item], self.eye_scale, out=values)
        else:
            values.copy_(getattr(batch, channel.removesuffix("_coeffs"))[item])

    def _keep(self, name: str, constant: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(constant, np.float32)), persistent=False)
