"""Surround sound as two channels: the mix of ITU-R BS.775 that players give to headphones.

Arrays and names of loudspeakers in, arrays out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_HALF_POWER = 0.5**0.5
_LEFT = ("FL", "DL", "WL")
_LEFT_BEHIND = ("SL", "BL", "FLC", "SDL", "TFL", "TBL", "TSL")
_RIGHT = ("FR", "DR", "WR")
_RIGHT_BEHIND = ("SR", "BR", "FRC", "SDR", "TFR", "TBR", "TSR")
_CENTRE = ("FC", "BFC")
_CENTRE_BEHIND = ("BC", "TC", "TFC", "TBC")
_WEIGHTS = (
    dict.fromkeys(_LEFT, (1.0, 0.0))
    | dict.fromkeys(_RIGHT, (0.0, 1.0))
    | dict.fromkeys(_LEFT_BEHIND, (_HALF_POWER, 0.0))
    | dict.fromkeys(_RIGHT_BEHIND, (0.0, _HALF_POWER))
    | dict.fromkeys(_CENTRE, (_HALF_POWER, _HALF_POWER))
    | dict.fromkeys(_CENTRE_BEHIND, (0.5, 0.5))
    | dict.fromkeys(("LFE", "LFE2"), (0.0, 0.0))
)


def stereo_weights(speakers: Sequence[str]) -> npt.NDArray[np.float32] | None:
    """The weights of a track's channels in the left and right channel of the mix.

    Args:
        speakers: the loudspeaker of each channel in FFmpeg's letters, such as "FL", "FC" and "LFE".

    Returns:
        Float32 [channels, 2], scaled so that no mix exceeds full scale; None for one or two channels, and where a
        loudspeaker is unknown: such channels are those of microphones.
    """
    if len(speakers) <= 2 or not all(speaker in _WEIGHTS for speaker in speakers):
        return None
    weights = np.array([_WEIGHTS[speaker] for speaker in speakers], np.float32)
    loudest = float(weights.sum(axis=0).max())
    return weights / loudest if loudest else None


def as_channels(samples: npt.NDArray[np.float32], num_channels: int) -> npt.NDArray[np.float32]:
    """Gives samples `[samples, channels]` a number of channels: their mean in each where it is another number."""
    if samples.shape[1] == num_channels:
        return samples
    return np.repeat(samples.mean(axis=1, keepdims=True, dtype=np.float32), num_channels, axis=1)
