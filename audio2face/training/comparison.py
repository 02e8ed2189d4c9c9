"""The scores of a trained network beside those of baselines: the file of a run, its table, and the verdict in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.errors import FileFormatError
from audio2face.evaluate.baselines import MEAN_FACE, NEAREST, NEUTRAL, RIDGE
from audio2face.evaluate.intervals import MIN_SHOTS, Difference, paired_difference
from audio2face.evaluate.metrics import Better
from audio2face.io.arrays import read_json

COMPARISON_FILE = "baselines.json"  # of a run folder
SCHEMA_VERSION = 1
NETWORK_OUTPUT = "network output"
_ROWS = (NETWORK_OUTPUT, RIDGE, MEAN_FACE, NEUTRAL, NEAREST)
_ERROR, _CORRELATION = "lip_error_mm", "lip_correlation"

_EXPLANATION = (
    "The lip error is the largest distance of a lip vertex from the recorded one, mean over frames, then clips. "
    "Intervals are of the difference to the ridge, by bootstrap over shots. The ridge is a linear map from the "
    "spectrum of speech to the face, fitted to the training clips; the nearest neighbour shows the training frame "
    "whose speech is most alike. Neutral and mean face do not move, so they have no correlation. If the validation "
    "set chose these weights (EXPORTED_WEIGHTS) or any setting, its numbers are better than those of new recordings."
)


@dataclass(frozen=True, kw_only=True)
class BaselineComparison:
    """Lip metrics of a network's output, without post-processing, and of baselines on the validation clips.

    Attributes:
        step: of the network's weights.
        clips: names of the clips.
        shots: the id of each clip's shot; clips of one shot are not independent.
        lip_error_mm: of each clip, by the subject: `NETWORK_OUTPUT`, or the name of a baseline.
        lip_correlation: the same; nan where the mouth does not move.
    """

    step: int
    clips: tuple[str, ...]
    shots: tuple[str, ...]
    lip_error_mm: Mapping[str, Sequence[float]]
    lip_correlation: Mapping[str, Sequence[float]]

    @property
    def error_difference(self) -> Difference | None:
        """Lip error of the network minus that of the ridge; None where it is not finite."""
        return self._difference(self.lip_error_mm, "lower")

    @property
    def correlation_difference(self) -> Difference | None:
        """The same of the correlation, over the clips where both are defined; None where there are none."""
        return self._difference(self.lip_correlation, "higher")

    def _difference(self, scores: Mapping[str, Sequence[float]], better: Better) -> Difference | None:
        one, other = (
            {str(index): value for index, value in enumerate(scores[name]) if math.isfinite(value)}
            for name in (NETWORK_OUTPUT, RIDGE)
        )
        if better == "lower" and len(one) < len(self.clips):
            return None  # a network that diverges in one clip is no better in the others
        return paired_difference(one, other, {str(index): shot for index, shot in enumerate(self.shots)}, better)

    @property
    def is_better(self) -> bool:
        """Whether the network is shown to be better than the ridge in both metrics."""
        return not self._undecided()

    def _undecided(self) -> list[str]:
        """The metrics in which the network is not shown to be better."""
        found = {"lip error": self.error_difference, "lip-distance correlation": self.correlation_difference}
        return [name for name, difference in found.items() if difference is None or difference.verdict != "better"]

    @property
    def verdict(self) -> str:
        """What the comparison says, in words."""
        found = (
            f"its lip error differs by {_words(self.error_difference, ' mm', 2)}, "
            f"its lip-distance correlation by {_words(self.correlation_difference, '', 3)}."
        )
        undecided = " and ".join(self._undecided())
        if not undecided:
            return f"This network is better than a linear map (ridge) on the validation set: {found}"
        head = f"This network is not shown to be better than a linear map (ridge) in {undecided} on the validation set:"
        return f"{head} {found}{self._too_few()}"

    def _too_few(self) -> str:
        if self._num_shots >= MIN_SHOTS:
            return ""
        shots = "1 shot is" if self._num_shots == 1 else f"{self._num_shots} shots are"
        return f" {shots} too few to show it; at least {MIN_SHOTS} are needed (VALIDATION_FRACTION)."

    def lines(self) -> list[str]:
        """The table for the log."""
        rows = [f"  {name:<18} lip error {error}, correlation {value}" for name, error, value in self._rows()]
        return [f"against baselines, {self._what}:", *rows]

    def readme_section(self) -> str:
        """The section "Against baselines" of a deployed folder's README."""
        rows = [f"| {name} | {error} | {value} |" for name, error, value in self._rows()]
        verdict = self.verdict if self.is_better else f"**{self.verdict}**"
        table = ["| | lip error | lip-distance correlation |", "|---|---|---|", *rows]
        head = ["## Against baselines", "", f"Without post-processing, {self._what}:", ""]
        return "\n".join([*head, *table, "", verdict, "", _EXPLANATION])

    @property
    def _num_shots(self) -> int:
        return len(set(self.shots))

    @property
    def _what(self) -> str:
        clips = "1 validation clip" if len(self.clips) == 1 else f"{len(self.clips)} validation clips"
        return f"on {clips} of {self._num_shots} {'shot' if self._num_shots == 1 else 'shots'}"

    def _rows(self) -> list[tuple[str, str, str]]:
        """Subject, lip error and correlation: means over clips where they are defined."""
        present = [name for name in _ROWS if name in self.lip_error_mm]
        return [
            (name, _text(_mean(self.lip_error_mm[name]), " mm", 2), _text(_mean(self.lip_correlation[name]), "", 3))
            for name in present
        ]

    def as_json(self) -> dict[str, Any]:
        """The content of the file, with means and intervals for other programs."""
        return {
            "schema_version": SCHEMA_VERSION,
            "step": self.step,
            "is_better_than_ridge": self.is_better,
            "verdict": self.verdict,
            "difference_to_ridge": {
                _ERROR: _difference_json(self.error_difference),
                _CORRELATION: _difference_json(self.correlation_difference),
            },
            "means": {
                name: {
                    _ERROR: _json(_mean(self.lip_error_mm[name])),
                    _CORRELATION: _json(_mean(self.lip_correlation[name])),
                }
                for name in self.lip_error_mm
            },
            "clips": list(self.clips),
            "shots": list(self.shots),
            _ERROR: {name: [_json(value) for value in own] for name, own in self.lip_error_mm.items()},
            _CORRELATION: {name: [_json(value) for value in own] for name, own in self.lip_correlation.items()},
        }

    @classmethod
    def read(cls, folder: Path) -> BaselineComparison | None:
        """Reads the comparison of a training run; None for a run without one.

        Raises:
            UserError: the file cannot be read, or (FileFormatError) holds something else.
        """
        path = folder / COMPARISON_FILE
        if not path.is_file():
            return None
        content = read_json(path)
        try:
            if content["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"has schema version {content['schema_version']}, expected {SCHEMA_VERSION}")
            scores = [
                {name: _floats(own) for name, own in content[metric].items()} for metric in (_ERROR, _CORRELATION)
            ]
            clips, shots = tuple(map(str, content["clips"])), tuple(map(str, content["shots"]))
            if any(len(own) != len(clips) for own in (shots, *scores[0].values(), *scores[1].values())):
                raise ValueError("lists of unequal length")
            if not {NETWORK_OUTPUT, RIDGE} <= scores[0].keys() == scores[1].keys():
                raise ValueError("the network's scores or the ridge's are missing")
            return cls(
                step=int(content["step"]), clips=clips, shots=shots, lip_error_mm=scores[0], lip_correlation=scores[1]
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileFormatError(f"is no comparison with baselines: {error}", path=path) from error


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if math.isfinite(value)]
    return float(np.mean(defined)) if defined else math.nan


def _text(value: float, unit: str, digits: int) -> str:
    return f"{value:.{digits}f}{unit}" if math.isfinite(value) else "undefined"


def _words(difference: Difference | None, unit: str, digits: int) -> str:
    """Such as "-0.19 mm (95 % interval -0.31 to -0.05)"."""
    if difference is None:
        return "an undefined amount"
    found = difference.estimate
    text = f"{found.mean:+.{digits}f}{unit}"
    if found.low is None or found.high is None:
        return f"{text} (no interval)"
    return f"{text} (95 % interval {found.low:+.{digits}f} to {found.high:+.{digits}f})"


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _difference_json(difference: Difference | None) -> dict[str, Any] | None:
    return None if difference is None else {**asdict(difference.estimate), "verdict": difference.verdict}


def _floats(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if value is None else float(value) for value in values)
