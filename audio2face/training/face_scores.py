"""How well faces of held-out clips are predicted: the figures that all networks are judged by while they learn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audio2face.evaluate.lips import FloatArray, score_lips

LIP_ERROR, LIP_CORRELATION, SKIN_ERROR = "lip_error_mm", "lip_correlation", "skin_error_mm"
_MM_PER_CM = 10.0


class FaceScores:
    """Takes in clips piece by piece, in the order of their frames."""

    def __init__(self) -> None:
        self._skin: dict[int, list[Tensor]] = {}
        self._lips: dict[int, list[tuple[FloatArray, FloatArray]]] = {}

    def add(self, clip: int, predicted: Tensor, true: Tensor, lips: npt.NDArray[np.int64] | None) -> None:
        """Takes in frames of a clip.

        Args:
            clip: its number.
            predicted: the skin, in centimetres from any fixed origin, `[frames, verts, 3]`.
            true: likewise.
            lips: vertices of the upper and of the lower lip, `[2, pairs]`; None: they are not known.
        """
        error = _MM_PER_CM * (predicted - true).norm(dim=-1).mean(dim=-1)
        self._skin.setdefault(clip, []).append(error.cpu())
        if lips is not None:
            self._lips.setdefault(clip, []).append((predicted[:, lips].cpu().numpy(), true[:, lips].cpu().numpy()))

    def metrics(self) -> dict[str, float]:
        """The figures of all clips; nothing where there were none.

        Returns:
            `skin_error_mm`: distance of a vertex from its true place, mean over vertices, frames, then clips; and,
            where lips are known, what `score_lips` gives.
        """
        if not self._skin:
            return {}
        metrics = {SKIN_ERROR: float(np.mean([torch.cat(errors).mean().item() for errors in self._skin.values()]))}
        if self._lips:
            pieces = self._lips.values()
            predicted, true = ([np.concatenate([pair[side] for pair in own]) for own in pieces] for side in (0, 1))
            score = score_lips(predicted, true)
            metrics |= {LIP_ERROR: score.error_mm, LIP_CORRELATION: score.correlation}
        return metrics
