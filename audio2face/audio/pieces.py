"""A recording as a mono track, piece by piece: what `read_track` gives, for recordings of any length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.audio.reading import read_header, sample_blocks
from audio2face.audio.resample import filter_reach, rate_ratio, resample_hann
from audio2face.audio.track import QUIET_PEAK, check_samplerate, to_mono
from audio2face.errors import UserError

Float32Array = npt.NDArray[np.float32]
_PIECE_SECONDS = 4


def track_pieces(path: Path | str, samplerate: int = 16_000, channel: int | None = None) -> Iterator[Float32Array]:
    """Yields a recording in order, mixed to mono and resampled; joined, the pieces are `read_track(path).data`.

    Args:
        path: any recording or film with sound, of 8 kHz or more.
        samplerate: rate of the pieces, in Hz.
        channel: the channel that is read alone, counted from 0; None for the mean of all.

    Yields:
        Float32 `[samples]`, full scale being 1.

    Raises:
        UserError: as `read_track`; what is wrong behind the header shows when its piece is due.
    """
    path = Path(path)
    rate = read_header(path).samplerate
    check_samplerate(rate, path)
    mono = (to_mono(block, channel) for block in sample_blocks(path))
    if rate == samplerate:
        yield from mono
        return
    try:
        yield from _resampled(mono, rate, samplerate)
    except UserError as error:
        raise UserError(error.problem, path=path, hint=error.hint) from error


def peak_of(path: Path | str, samplerate: int = 16_000, channel: int | None = None) -> float:
    """The largest magnitude of a recording at a rate, or 1.0 for silence: `norm_factor` of `read_track`.

    Arguments are those of `track_pieces`.

    Raises:
        UserError: as `track_pieces`.
    """
    pieces = track_pieces(path, samplerate, channel)
    peak = max((float(np.abs(piece).max()) for piece in pieces if len(piece)), default=0.0)
    return peak if peak > QUIET_PEAK else 1.0


def _resampled(blocks: Iterator[Float32Array], old_rate: int, new_rate: int) -> Iterator[Float32Array]:
    """Resamples a stream in pieces of whole units of time, each heard with what lies around it."""
    old, new = rate_ratio(old_rate, new_rate)
    around = -(-filter_reach(old, new) // old) * old
    piece = max(1, _PIECE_SECONDS * old_rate // old) * old
    known = np.zeros(0, np.float32)  # from `around` samples before what comes next, fewer at the beginning
    before = 0
    for block in blocks:
        known = np.concatenate([known, block])
        while len(known) >= before + piece + around:
            yield _middle(known[: before + piece + around], before, piece, old_rate, new_rate)
            keep = before + piece - around if before + piece > around else 0
            before = before + piece - keep
            known = known[keep:]
    rest = len(known) - before
    if rest > 0:
        yield _middle(known, before, rest, old_rate, new_rate)


def _middle(samples: Float32Array, before: int, count: int, old_rate: int, new_rate: int) -> Float32Array:
    """Resamples `samples`, and keeps what `count` of them after `before` become."""
    old, new = rate_ratio(old_rate, new_rate)
    resampled = resample_hann(samples, old_rate, new_rate)
    return resampled[before * new // old : -(-(before + count) * new // old)]
