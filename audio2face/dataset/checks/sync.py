"""Checks the synchronisation of audio and animation: same start, same shot, and same rate until the end.

Judged by a regression from audio to motion (`relation`). Thresholds are far from the values of correct data, so that
only clear cases are reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.motion import MotionTrace
from audio2face.dataset.checks.relation import Relation, SoundFeatures
from audio2face.dataset.checks.report import Findings, Severity, first_few
from audio2face.types import Float64Array

_STEP = 0.05  # s
_LAGS = [round(number * _STEP, 3) for number in range(-30, 31)]
_DRIFTING_LAGS = [round(number * _STEP, 3) for number in range(-8, 9)]
_SHORTEST_SECONDS = 3.0
_LEAST_SECONDS = 10.0  # of all shots together
_LEAST_CHANGE = 1e-3  # cm per frame
_MOST_SECONDS = 300.0  # enough to establish the relation of an actor
_TOGETHER = 0.12  # s: natural lead of the lips and delay of encoders
_CLEAR = 0.3  # correlation
_CLEARER = 0.04  # advantage over zero lag
_CHANCE = 0.5
_SHOT_CLEAR = 0.5
_SHOT_CLEARER = 0.2
_SHOT_LAG = 1.0  # s; a wider search would find spurious matches for single shots
_SWAP_GAIN = 0.35  # of both shots together
_SUSPICIOUS = 0.15  # below the median of the shots
_LOOKED_AT, _MOST_SUSPECTS = 8, 40  # shots, those that go worst with their sound
_LONG_SECONDS = 60.0
_DRIFT_GAIN = 0.04
NTSC = Fraction(1000, 1001)


def check_sync(
    dataset: ActorDataset, traces: Mapping[str, MotionTrace], sounds: Mapping[str, SoundFeatures], findings: Findings
) -> None:
    """Compares the audio of every shot with the motion of its face."""
    names = _compared(dataset, traces, sounds)
    if not names:
        return
    relation = Relation([traces[name].sketch for name in names], [sounds[name] for name in names], dataset.fps)
    if relation.seconds < _LEAST_SECONDS:
        return
    _Check(dataset, tuple(names), relation, traces, findings).run()


def _compared(
    dataset: ActorDataset, traces: Mapping[str, MotionTrace], sounds: Mapping[str, SoundFeatures]
) -> list[str]:
    """Returns shots that are long enough, contain speech and move."""
    return [
        name
        for name, trace in traces.items()
        if name in sounds
        and trace.num_frames >= _SHORTEST_SECONDS * dataset.fps
        and _is_alive(trace, _SHORTEST_SECONDS * dataset.fps)
        and sounds[name].speech_seconds(0, trace.num_frames / dataset.fps) > 1
    ]


def _is_alive(trace: MotionTrace, fewest_frames: float) -> bool:
    """Returns whether enough frames are valid and the face changes its speed: mere drift carries no timing."""
    whole = trace.sketch[np.isfinite(trace.sketch).all(axis=1)]
    return len(whole) >= fewest_frames and float(np.diff(whole, axis=0).std(axis=0).max()) > _LEAST_CHANGE


@dataclass(frozen=True)
class _Check:
    dataset: ActorDataset
    names: tuple[str, ...]
    relation: Relation
    traces: Mapping[str, MotionTrace]
    findings: Findings

    def run(self) -> None:
        """Analyses all shots together, then each."""
        spare = self._spare()
        lags = [lag for number, lag in enumerate(_LAGS) if number % 2 == 0 or abs(lag) <= _TOGETHER]
        curve = dict(zip(lags, self.relation.curve(lags, without=spare), strict=True))
        best = max(curve, key=lambda lag: curve[lag])
        beside = [lag for lag in _LAGS if 0 < abs(lag - best) < _STEP * 1.5 and lag not in curve]
        curve |= dict(zip(beside, self.relation.curve(beside, without=spare), strict=True))
        best = max(curve, key=lambda lag: curve[lag])
        near = max(value for lag, value in curve.items() if abs(lag) <= _TOGETHER)
        doubt = self.relation.seconds**-0.5  # correlation expected by chance
        clear = max(_CLEAR + doubt, near + _CLEARER + _CHANCE * doubt)
        if abs(best) > _TOGETHER and curve[best] > clear:
            self._report_offset(best, float(curve[best]), near)
            return
        self._check_shots(0.0 if abs(best) > _TOGETHER else best)
        if near > _CLEAR:
            self._check_drift(spare)

    def _spare(self) -> frozenset[int]:
        """Returns evenly spread shots beyond those needed to establish the relation."""
        order = np.random.default_rng(0).permutation(len(self.names))
        lengths = np.array([self.relation.shot_seconds.get(int(shot), 0.0) for shot in order])
        return frozenset(int(shot) for shot in order[np.cumsum(lengths) - lengths > _MOST_SECONDS])

    def _report_offset(self, lag: float, here: float, there: float) -> None:
        frames = abs(lag) * self.dataset.fps
        self.findings.error(
            "sound-offset",
            f"over all shots the face moves {abs(lag):.2f} s ({frames:.0f} frames) {_side(lag)} the sound: they go "
            f"together with {here:.2f} there (1: exactly, 0: not at all) and with {there:.2f} as they are",
            f"Cut the start of the {'recordings' if lag > 0 else 'caches'} by {abs(lag):.2f} s, or give the offset in "
            "frames as the last value of the rows of CLIPS.",
            file=self.dataset.paths["AUDIO_ROOT"],
        )

    def _check_shots(self, lag: float) -> None:
        weights = self.relation.judge(lag)
        window = [value for value in _LAGS if abs(value - lag) <= _TOGETHER]
        own = {shot: self._best(shot, shot, weights, window) for shot in weights}
        usual = float(np.median(list(own.values()))) if own else 0.0
        limit = max(_SHOT_CLEAR, usual - _SUSPICIOUS)
        worst = sorted(own, key=lambda shot: own[shot])
        suspects = [shot for rank, shot in enumerate(worst) if rank < _LOOKED_AT or own[shot] < limit]
        done: set[int] = set()
        for shot in suspects[:_MOST_SUSPECTS]:
            if shot not in done:
                done |= self._check_swap(shot, weights, own, window) or self._check_shot(shot, weights, own, lag)

    def _best(self, shot: int, recording: int, weights: Mapping[int, Float64Array], lags: list[float]) -> float:
        return max(self.relation.score(shot, recording, weights[shot], value) for value in lags)

    def _check_swap(
        self,
        shot: int,
        weights: Mapping[int, Float64Array],
        own: Mapping[int, float],
        window: list[float],
    ) -> set[int]:
        """Looks for another shot with exchanged recordings."""
        found, best = None, _SWAP_GAIN
        for other in weights:
            if self.relation.groups[other] == self.relation.groups[shot]:
                continue
            there = self._best(shot, other, weights, window)
            if there < max(_CLEAR, own[shot] + _SWAP_GAIN / 4):
                continue
            back = self._best(other, shot, weights, window)
            gain = there + back - own[shot] - own[other]
            if gain > best and back > max(_CLEAR, own[other] + _SWAP_GAIN / 4):
                found, best = other, gain
        if found is None:
            return set()
        one, two = self.names[shot], self.names[found]
        files = [self.dataset.audio_path(name) for name in (one, two)]
        self.findings.error(
            "sound-swapped",
            f"the recordings of {one!a} and {two!a} seem to be exchanged: each goes with the motion of the other shot",
            f"Listen to both, and exchange {files[0].name} and {files[1].name}.",
            file=files[0],
            shot=one,
        )
        return {shot, found}

    def _check_shot(
        self,
        shot: int,
        weights: Mapping[int, Float64Array],
        own: Mapping[int, float],
        usual: float,
    ) -> set[int]:
        lags = [lag for lag in _LAGS if abs(lag - usual) <= _SHOT_LAG]
        scores = [self.relation.score(shot, shot, weights[shot], value) for value in lags]
        best = int(np.argmax(scores))
        lag = lags[best] - usual
        gain = _SHOT_CLEARER + _CHANCE * self.relation.shot_seconds[shot] ** -0.5
        if abs(lag) <= _TOGETHER or scores[best] < max(_SHOT_CLEAR, own[shot] + gain):
            return set()
        name = self.names[shot]
        self.findings.error(
            "sound-offset",
            f"the face moves {abs(lag):.2f} s ({abs(lag) * self.dataset.fps:.0f} frames) {_side(lag)} the sound: "
            f"together they go with {scores[best]:.2f} there (1: exactly, 0: not at all), as they are with "
            f"{own[shot]:.2f}",
            "Export recording and animation so that both begin at the same moment; check that it is the recording of "
            "this shot.",
            file=self.dataset.audio_path(name),
            shot=name,
        )
        return {shot}

    def _check_drift(self, spare: frozenset[int]) -> None:
        """Checks whether long takes match better when time is stretched by 1001/1000 or its inverse."""
        short = {shot for shot, seconds in self.relation.shot_seconds.items() if seconds < _LONG_SECONDS}
        without = spare | short
        is_reported = any(item.code == "frame-rate" and item.severity is Severity.ERROR for item in self.findings.items)
        if len(without) == len(self.names) or is_reported:
            return
        rates = {1.0: 1.0, float(1 / NTSC): float(NTSC), float(NTSC): float(1 / NTSC)}
        scores = {rate: float(self.relation.curve(_DRIFTING_LAGS, rate, without).max()) for rate in rates}
        best = max(scores, key=lambda rate: scores[rate])
        if best != 1.0 and scores[best] > max(_CLEAR, scores[1.0] + _DRIFT_GAIN):
            fps = self.dataset.fps * rates[best]
            long = [name for number, name in enumerate(self.names) if number not in without]
            self.findings.error(
                "frame-rate",
                f"in {first_few(long)} sound and motion drift apart as at {fps:.2f} frames per second instead of "
                f"{self.dataset.fps:g}: they go together with {scores[best]:.2f} at that rate and with "
                f"{scores[1.0]:.2f} as they are",
                f'Set CACHE_FPS["{self.dataset.actor}"] = {fps:.6g} in config_dataset.py, or export the caches at '
                f"{self.dataset.fps:g} frames per second.",
                file=self.dataset.paths["SKIN_CACHE_ROOT"],
            )


def _side(lag: float) -> str:
    return "before" if lag > 0 else "after"
