"""Models the relation between audio and facial motion: band energies of recordings, and a regression to motion.

Features are computed in blocks, so that a recording of hours takes a few megabytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from audio2face.audio import read_header, sample_blocks
from audio2face.geometry.frames import recorded_times
from audio2face.types import Float32Array, Float64Array

_RATE = 50  # rows of features per second, rounded to whole samples
_EDGES = (80, 300, 600, 1000, 1600, 2400, 3600, 5500, 8000)  # Hz
_WINDOW = 2  # hops
_QUIET_DB = -55.0  # relative to full scale: below the level of speech
_SPEECH_DB = 25.0  # below the loudest twentieth
_EVEN_DB = 6.0  # between soft and loud passages


@dataclass(frozen=True, eq=False)
class SoundFeatures:
    """Band energies of a recording, mixed to mono.

    Attributes:
        energy: mean square in each band, full scale being 1, float32 `[rows, bands]`; row i is centred at
            `(i + 0.5) / rate` seconds.
        rate: rows per second.
    """

    energy: Float32Array
    rate: float

    def speech_seconds(self, start: float, stop: float) -> float:
        """Returns the seconds of speech, or of audio with similar level changes, between `start` and `stop`.

        Noise and hum have a steady level and do not count.
        """
        level = 10 * np.log10(self.energy.sum(axis=1) + 1e-12)
        soft, loud = np.percentile(level, (10, 95)).tolist() if len(level) else (_QUIET_DB, _QUIET_DB)
        if loud - soft < _EVEN_DB:
            return 0.0
        part = level[max(0, round(start * self.rate)) : max(0, round(stop * self.rate))]
        return float(np.count_nonzero(part > max(_QUIET_DB, loud - _SPEECH_DB))) / self.rate


def sound_features(path: Path) -> SoundFeatures:
    """Reads the features of a recording.

    Raises:
        UserError: it cannot be read.
    """
    samplerate = read_header(path).samplerate
    hop = max(1, round(samplerate / _RATE))
    window = np.hanning(_WINDOW * hop).astype(np.float32)
    bands = _band_matrix(_WINDOW * hop, samplerate, float(np.square(window).sum()))
    rows = [_energies(frames * window, bands) for frames in _windows(path, hop)]
    energy = np.concatenate(rows) if rows else np.zeros((0, bands.shape[1]), np.float32)
    return SoundFeatures(energy, samplerate / hop)


def _windows(path: Path, hop: int) -> Iterator[Float32Array]:
    """Yields windows of two hops each, centred on each hop, `[rows, 2 * hop]`, with silence at both ends."""
    rest = np.zeros(hop // 2, np.float32)
    for block in sample_blocks(path):
        rest = np.concatenate([rest, block.mean(axis=1, dtype=np.float32)])
        count = len(rest) // hop - 1
        if count > 0:
            yield np.lib.stride_tricks.sliding_window_view(rest, _WINDOW * hop)[: count * hop : hop]
            rest = rest[count * hop :]
    rest = np.concatenate([rest, np.zeros(hop, np.float32)])
    count = len(rest) // hop - 1
    if count > 0:
        yield np.lib.stride_tricks.sliding_window_view(rest, _WINDOW * hop)[: count * hop : hop]


def _energies(frames: Float32Array, bands: Float32Array) -> Float32Array:
    spectrum = np.fft.rfft(frames, axis=1)
    power = (np.square(spectrum.real) + np.square(spectrum.imag)).astype(np.float32)
    return np.asarray(power @ bands, np.float32)


def _band_matrix(length: int, samplerate: int, weight: float) -> Float32Array:
    """Sums power spectra `[rows, bins]` to bands `[bins, bands]`, scaled to mean squares."""
    frequency = np.fft.rfftfreq(length, 1 / samplerate)
    low, high = np.array(_EDGES[:-1]), np.array(_EDGES[1:])
    inside = (frequency[:, None] >= low) & (frequency[:, None] < high)
    return (inside * (2 / (weight * length))).astype(np.float32)


_TREND_SECONDS = 1.0  # slower changes (mood, posture, room noise) are independent of timing
_CONTEXT_SECONDS = 0.06  # of audio before and after a frame
_FLOOR = 1e-3  # of a band's loud passages
_MOTIONS = 4
_RIDGE = 1e-2
_PIECE_SECONDS = 20.0
_FEWEST_FRAMES = 30
_FOLDS = 10


@dataclass(frozen=True, eq=False)
class _Piece:
    """Frames of one shot: motions `[frames, motions]` and the middle of each frame in seconds `[frames]`."""

    shot: int
    motion: Float64Array
    times: Float64Array


class Relation:
    """The relation between audio and motion over the shots of an actor.

    Attributes:
        groups: for each shot the index of the first shot with the same recording.

    Args:
        sketches: per shot, numbers that represent the face in each frame, float32 `[frames, values]`; NaN for damaged
            frames.
        sounds: per shot, its recording.
        fps: frames per second.
    """

    def __init__(self, sketches: Sequence[Float32Array], sounds: Sequence[SoundFeatures], fps: float) -> None:
        self._sounds = [_levels(sound) for sound in sounds]
        self._rates = [sound.rate for sound in sounds]
        self._pieces = _pieces(sketches, fps)
        self.groups = _groups(sounds)
        self._folds = self._deal_folds()

    def _deal_folds(self) -> list[int]:
        """Assigns pieces to folds: all pieces of one recording share a fold, so that tests are independent."""
        several = len(set(self.groups)) > 2
        keys = [(self.groups[piece.shot], 0.0 if several else float(piece.times[0])) for piece in self._pieces]
        order = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return [order[key] % _FOLDS for key in keys]

    @property
    def seconds(self) -> float:
        """Duration of all analysed motion, copies of a shot counted once."""
        return sum(length for shot, length in self.shot_seconds.items() if self.groups[shot] == shot)

    def curve(self, lags: Sequence[float], rate: float = 1.0, without: frozenset[int] = frozenset()) -> Float64Array:
        """Returns how well motion is predicted from audio at each lag.

        Args:
            lags: seconds.
            rate: factor of time between animation and audio.
            without: shots to skip.

        Returns:
            Correlations of predicted and recorded motion `[lags]`, in cross-validation.
        """
        chosen = [number for number, piece in enumerate(self._pieces) if piece.shot not in without]
        return np.array([self._crossed(chosen, float(lag), rate) for lag in lags])

    def _crossed(self, chosen: Sequence[int], lag: float, rate: float) -> float:
        rows = {number: self._pair(self._pieces[number], self._pieces[number].shot, lag, rate) for number in chosen}
        products = {number: (x.T @ x, x.T @ y) for number, (x, y) in rows.items()}
        predicted, true = [], []
        for fold in sorted({self._folds[number] for number in chosen}):
            rest = [products[number] for number in chosen if self._folds[number] != fold]
            if not rest:
                continue
            weights = _fit(rest)
            held = [rows[number] for number in chosen if self._folds[number] == fold]
            predicted += [x @ weights for x, _ in held]
            true += [y for _, y in held]
        return _alike(np.concatenate(predicted), np.concatenate(true)) if predicted else 0.0

    def judge(self, lag: float, without: frozenset[int] = frozenset()) -> dict[int, Float64Array]:
        """Returns for each shot, by index, the weights of a regression that is fitted to the other shots at a lag."""
        products: dict[int, list[tuple[Float64Array, Float64Array]]] = {}
        for piece in self._pieces:
            x, y = self._pair(piece, piece.shot, lag, 1.0)
            products.setdefault(piece.shot, []).append((x.T @ x, x.T @ y))
        found = {}
        for shot in products:
            rest = [
                pair
                for other, pairs in products.items()
                if self.groups[other] != self.groups[shot] and other not in without
                for pair in pairs
            ]
            if rest:
                found[shot] = _fit(rest)
        return found

    def score(self, shot: int, recording: int, weights: Float64Array, lag: float) -> float:
        """Returns how well a shot's motion is predicted from a recording, its own or another, at a lag; 0 if apart."""
        pairs = [self._pair(piece, recording, lag, 1.0) for piece in self._pieces if piece.shot == shot]
        x, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
        frames = sum(len(piece.times) for piece in self._pieces if piece.shot == shot)
        return _alike(x @ weights, y) if len(y) >= max(_FEWEST_FRAMES, frames / 2) else 0.0

    @cached_property
    def shot_seconds(self) -> dict[int, float]:
        """Duration of each shot's motion."""
        found: dict[int, float] = {}
        for piece in self._pieces:
            found[piece.shot] = found.get(piece.shot, 0.0) + float(np.ptp(piece.times))
        return found

    def _pair(self, piece: _Piece, recording: int, lag: float, rate: float) -> tuple[Float64Array, Float64Array]:
        """Returns audio around the frames of a piece `[frames, 3 * bands]` and its motion, where both exist."""
        sound, per_second = self._sounds[recording], self._rates[recording]
        around = max(1, round(_CONTEXT_SECONDS * per_second))
        rows = np.rint((piece.times * rate + lag) * per_second - 0.5).astype(np.int64)
        inside = (rows >= around) & (rows < len(sound) - around)
        rows = rows[inside]
        return np.concatenate([sound[rows - around], sound[rows], sound[rows + around]], axis=1), piece.motion[inside]


def _levels(sound: SoundFeatures) -> Float64Array:
    """Returns log energies without slow changes, all bands and their sum, `[rows, 1 + bands]`."""
    energy = np.concatenate([sound.energy.sum(axis=1, keepdims=True), sound.energy], axis=1).astype(np.float64)
    if not len(energy):
        return energy
    loud = np.percentile(energy, 95, axis=0) + 1e-12
    return _without_trend(np.log10(energy / loud + _FLOOR), _TREND_SECONDS * sound.rate)


def _groups(sounds: Sequence[SoundFeatures]) -> tuple[int, ...]:
    """Returns for each shot the first one with the same recording: copies are not independent."""
    first: dict[bytes, int] = {}
    digests = [hashlib.sha256(sound.energy.tobytes()).digest() for sound in sounds]
    return tuple(first.setdefault(digest, number) for number, digest in enumerate(digests))


def _pieces(sketches: Sequence[Float32Array], fps: float) -> list[_Piece]:
    """Returns the principal motions of all shots, without slow changes, in pieces."""
    smooth = []
    for sketch in sketches:
        whole = np.isfinite(sketch).all(axis=1)
        times: Float64Array = recorded_times(np.flatnonzero(whole), fps)
        values = sketch[whole].astype(np.float64)
        smooth.append((times, _without_trend(values, _TREND_SECONDS * fps) if len(values) else values))
    scatter = sum((values.T @ values for _, values in smooth), np.zeros((sketches[0].shape[1],) * 2))
    strengths, directions = np.linalg.eigh(scatter)
    kept: Float64Array = directions[:, ::-1][:, :_MOTIONS] / np.sqrt(max(float(strengths[-1]), 1e-12))
    length = max(1, round(_PIECE_SECONDS * fps))
    return [
        _Piece(shot, np.asarray(values[start : start + length] @ kept, np.float64), times[start : start + length])
        for shot, (times, values) in enumerate(smooth)
        for start in range(0, len(values), length)
    ]


def _without_trend(values: Float64Array, width: float) -> Float64Array:
    """Subtracts from values `[rows, columns]` their moving average over `width` rows."""
    size = max(1, round(width)) | 1
    padded = np.pad(values, ((size // 2 + 1, size // 2), (0, 0)), mode="edge")
    sums = np.cumsum(padded - values.mean(axis=0), axis=0)
    trend: Float64Array = values - values.mean(axis=0) - (sums[size:] - sums[:-size]) / size
    return trend


def _fit(products: Sequence[tuple[Float64Array, Float64Array]]) -> Float64Array:
    """Fits a ridge regression from sums of products."""
    squares = np.sum([pair[0] for pair in products], axis=0)
    ridge = _RIDGE * float(np.trace(squares)) / len(squares) + 1e-12
    weights: Float64Array = np.linalg.solve(
        squares + ridge * np.eye(len(squares)), np.sum([p[1] for p in products], axis=0)
    )
    return weights


def _alike(one: Float64Array, other: Float64Array) -> float:
    """Returns the correlation of two sets of curves `[frames, curves]`, each about its mean."""
    if len(one) < 2:
        return 0.0
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    scale = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum()) / scale if scale > 1e-12 else 0.0
