"""Losses on which phoneme is named when; of each language in its own terms.

Knows logits and probabilities. Silence is the phoneme that may weigh otherwise than all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class PhonemeTargets:
    """What is said in a batch, in one language.

    Attributes:
        items: the items of the batch that speak it, int64 `[items]`; not empty.
        probabilities: `[items, sequence, steps, phonemes]`.
    """

    items: Tensor
    probabilities: Tensor


def naming_loss(
    logits: Mapping[str, Tensor], targets: Mapping[str, PhonemeTargets], weights: Mapping[str, Tensor]
) -> Tensor:
    """The cross entropy of logits and probabilities, the mean over all steps of a language, summed over languages.

    Args:
        logits: `[batch, sequence, steps, phonemes]` by language.
        targets: of the languages that are spoken in the batch.
        weights: of each phoneme, `[phonemes]` by language.
    """
    losses = []
    for language, target in targets.items():
        said = logits[language].index_select(0, target.items).flatten(0, -2).float()
        losses.append(functional.cross_entropy(said, target.probabilities.flatten(0, -2), weights[language]))
    return _sum(losses, logits)


def naming_motion_loss(
    logits: Mapping[str, Tensor], targets: Mapping[str, PhonemeTargets], *, as_reference: bool = False
) -> Tensor:
    """The mean square of how the change of probabilities from frame to frame differs, summed over languages.

    Args:
        logits: see `naming_loss`.
        targets: likewise.
        as_reference: compares the change of logits with that of probabilities.
    """
    losses = []
    for language, target in targets.items():
        said = logits[language].index_select(0, target.items).float()
        said = said if as_reference else torch.softmax(said, dim=-1)
        if said.shape[1] > 1:
            losses.append(functional.mse_loss(said.diff(dim=1), target.probabilities.diff(dim=1)))
    return _sum(losses, logits)


def _sum(losses: list[Tensor], logits: Mapping[str, Tensor]) -> Tensor:
    """The sum; of nothing, a 0 with a gradient of 0, so that every process of a training has one."""
    nothing = torch.stack([value.float().sum() for value in logits.values()]).sum() * 0.0
    return torch.stack([nothing, *losses]).sum()
