"""What finds the phones of a recording."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from audio2face.audio.phonemes.phone_set import PhoneSet

SAMPLE_RATE = 16_000  # Hz; every detector listens at this rate


class Detector(Protocol):
    """Finds phones.

    Attributes:
        phones: the columns of its tables.
        identity: all that its tables depend on beside the recording; one that differs in it is another detector.
    """

    phones: PhoneSet
    identity: str

    def detect(self, samples: npt.NDArray[np.float32], text: str | None) -> npt.NDArray[np.float32]:
        """How likely each phone sounds over time.

        Args:
            samples: float32 `[samples]` at `SAMPLE_RATE`.
            text: what is said, where that is known.

        Returns:
            Float32 `[rows, phones]`, see `rows`; every row adds up to 1.
        """
