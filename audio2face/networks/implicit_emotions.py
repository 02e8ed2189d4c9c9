"""The emotion that each frame of the training data has of its own: what of a face cannot be told from its sound.

The network learns with it beside it, so that it need not average over moods; a consumer picks the row of one frame and
keeps it. Knows frames by number only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.networks.regression import RegressionNetwork


class ImplicitEmotions(nn.Module):
    """A trained row for each frame.

    Args:
        frames: frames of all shots.
        length: values of a row.
        sigma: spread of the values at the start.
    """

    def __init__(self, frames: int, length: int, sigma: float) -> None:
        super().__init__()
        self.rows = nn.Parameter(sigma * torch.randn(frames, length))

    def forward(self, frames: Tensor) -> Tensor:
        """Rows `[..., length]` of frames, int64 `[...]`."""
        return functional.embedding(frames, self.rows)


class RegressionLearner(nn.Module):
    """The regression network and the implicit emotions that it is trained with.

    Attributes:
        network: what is deployed.
        emotions: of which consumers pick a row.
    """

    def __init__(self, network: RegressionNetwork, emotions: ImplicitEmotions) -> None:
        super().__init__()
        self.network = network
        self.emotions = emotions

    def forward(
        self,
        audio: Tensor,
        frames: Tensor,
        explicit: Tensor,
        norm_factor: Tensor | None = None,
        hidden: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Predicts the faces of frames of the training data.

        Args:
            audio: a window around each frame, `[batch, sequence, samples]`.
            frames: their numbers, int64 `[batch, sequence]`.
            explicit: explicit emotion, `[batch, emotions]`.
            norm_factor: see `RegressionNetwork`.
            hidden: see `RegressionNetwork`.

        Returns:
            Values and logits of phonemes, as the fields of `RegressionOutput` (in a tuple, which wrappers can look
            into), and the implicit emotions `[batch, sequence, length]`.
        """
        implicit = self.emotions(frames)
        spread = explicit[:, None].expand(-1, frames.shape[1], -1)
        output = self.network(audio, torch.cat([implicit, spread], dim=-1), norm_factor, hidden)
        return output.values, dict(output.phonemes), implicit
