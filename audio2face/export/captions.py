"""Words on pictures: light letters in a corner, set in the font that comes with matplotlib."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

_HEIGHT = 1 / 32  # of a letter, as a share of the picture
_MARGIN = 1 / 26


def write_caption(picture: Picture, text: str) -> None:
    """Writes a line into the lower left corner of a picture `[height, width, 3]`, cut at its right edge."""
    if not text:
        return
    size = max(int(picture.shape[0] * _HEIGHT), 8)
    margin = max(int(picture.shape[0] * _MARGIN), 4)
    mask = _letters(text, size)[:, : max(picture.shape[1] - 2 * margin, 0)]
    bottom = picture.shape[0] - margin
    place = picture[bottom - mask.shape[0] : bottom, margin : margin + mask.shape[1]]
    place[:] = np.rint(place + mask[..., None] * (250.0 - place))


@lru_cache(maxsize=16)
def _letters(text: str, size: int) -> npt.NDArray[np.float32]:
    """How far letters cover each pixel, 0 to 1, `[height, width]`; the height is that of any letter with its tail."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # loads for most of a second
    from matplotlib.figure import Figure

    figure = Figure(figsize=(len(text) + 4, 2), dpi=size)
    canvas: Any = FigureCanvasAgg(figure)
    figure.text(0, 0.5, text, fontsize=72, va="center", color="black", parse_math=False)
    canvas.draw()
    covered = 1 - np.asarray(canvas.buffer_rgba(), np.float32)[..., 0] / np.float32(255)
    columns = np.flatnonzero(covered.max(axis=0) > 0.02)
    rows = slice(covered.shape[0] // 2 - size, covered.shape[0] // 2 + size)
    return covered[rows, : columns[-1] + 1 if len(columns) else 0]
