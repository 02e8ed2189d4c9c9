"""The samples of a track that arrive piece by piece, kept as long as a window may still hear them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError

Float32Array = npt.NDArray[np.float32]


class SampleBuffer:
    """The end of a stream of samples; what lies outside the stream sounds silent.

    Args:
        gain: what samples are multiplied by.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self._gain = np.float32(gain)
        self._kept = np.zeros(0, np.float32)
        self._first = 0  # number of the first sample that is kept
        self.closed = False

    @property
    def length(self) -> int:
        """Samples that have arrived."""
        return self._first + len(self._kept)

    def push(self, samples: npt.ArrayLike) -> None:
        """Adds samples `[samples]`, full scale being 1.

        Raises:
            UserError: they are more than one channel, or not finite.
            ValueError: the stream is closed.
        """
        if self.closed:
            raise ValueError("the stream is closed")
        added = np.asarray(samples, np.float32)
        if added.ndim != 1:
            raise UserError(f"audio of the shape {list(added.shape)} arrived, expected one channel [samples]")
        if not np.isfinite(added).all():
            place = self.length + int(np.argmin(np.isfinite(added)))
            raise UserError(f"sample {place} of the audio is {added[place - self.length]}, expected a finite number")
        self._kept = np.concatenate([self._kept, added * self._gain])

    def read(self, start: int, stop: int) -> Float32Array:
        """Copies the samples from `start` up to `stop`, zero where they lie before or after the stream.

        Raises:
            ValueError: samples are wanted that were dropped.
        """
        window = np.zeros(stop - start, np.float32)
        first, last = max(start, 0), min(stop, self.length)
        if first < self._first and first < last:
            raise ValueError(f"samples from {first} are wanted, those before {self._first} were dropped")
        if first < last:
            window[first - start : last - start] = self._kept[first - self._first : last - self._first]
        return window

    def drop_before(self, sample: int) -> None:
        """Forgets what no window hears any more."""
        count = min(max(sample, self._first), self.length) - self._first
        self._kept = self._kept[count:]
        self._first += count
