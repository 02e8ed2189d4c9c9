"""Where mixed precision must not reach."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device_type: str) -> AbstractContextManager[None]:
    """A context in which operations keep the precision of what they are given, also under autocast.

    Args:
        device_type: such as "cuda".
    """
    # Only where it is needed: exporters do not know the context.
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
