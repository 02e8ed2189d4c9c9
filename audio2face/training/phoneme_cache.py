"""Phones of recordings, recognised once and kept on disk.

A table is filed under all that it depends on: the bytes of the recording, what is said in it, and the recogniser.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.audio import read_track
from audio2face.audio.phonemes import SAMPLE_RATE, Detector
from audio2face.dataset.arrays import Float32Array
from audio2face.dataset.phoneme_times import TRANSCRIPT_SUFFIX, read_transcript
from audio2face.errors import UserError
from audio2face.files import write_npy

FOLDER = "phonemes"


@dataclass(frozen=True)
class PhonemeCache:
    """Tables in a folder.

    Attributes:
        folder: where they are kept.
    """

    folder: Path

    def table(self, detector: Detector, audio: Path) -> Float32Array:
        """The table of a recording, see `Detector`: read, or recognised and kept.

        Words that lie beside the recording, in `<recording>.txt`, are given to the recogniser.

        Args:
            detector: the recogniser.
            audio: the recording.

        Raises:
            UserError: recording or words cannot be read, or the table cannot be written.
        """
        text = read_transcript(audio.with_suffix(TRANSCRIPT_SUFFIX))
        path = self.folder / f"{_key(detector, audio, text)}.npy"
        kept = _read_table(path, len(detector.phones))
        if kept is not None:
            return kept
        table = detector.detect(read_track(audio, SAMPLE_RATE).data, text)
        write_npy(path, table)
        return table


def _key(detector: Detector, audio: Path, text: str | None) -> str:
    digest = hashlib.sha256(f"{detector.identity}\0{' '.join(detector.phones.symbols)}\0{text}\0".encode())
    try:
        with audio.open("rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path=audio) from error
    return digest.hexdigest()


def _read_table(path: Path, phones: int) -> Float32Array | None:
    """A table that was kept; None where there is none, or no whole one."""
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return table if table.dtype == np.float32 and table.ndim == 2 and table.shape[1] == phones else None
