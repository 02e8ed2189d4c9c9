"""Report of post-processing: the calibrated values, and the error before and after post-processing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from audio2face.deploy.calibration import Choice, Mouth, at_recorded_frames, finished_skin, true_skin, values_of
from audio2face.deploy.held_out_motion import HeldOutMotion
from audio2face.evaluate.amplitude import PERCENTILE
from audio2face.evaluate.lips import correlation, vertex_error
from audio2face.types import MM_PER_CM, Float32Array, Float64Array

CALIBRATION_FILE = "calibration.json"  # of a deployed folder
NETWORK, DEFAULTS, FINISHED = "network output", "CONFIG without calibration", "finished animation"


@dataclass(frozen=True)
class MouthScore:
    """Error of the mouth on validation shots.

    Attributes:
        error_mm: largest distance of a measured vertex from the recorded position, mean over frames, then shots.
        correlation: of the opening over time with the recorded one, mean over shots; nan if it is constant.
        opening_mm: 95th percentile of the opening over all frames, relative to the neutral face.
    """

    error_mm: float
    correlation: float
    opening_mm: float


@dataclass(frozen=True)
class ActorCalibration:
    """Calibration of one actor and its evaluation.

    Attributes:
        choices: the parameters.
        shots: the validation shots that were used.
        seconds: their total length.
        measured: the vertices of the evaluation; empty without one.
        true_opening_mm: 95th percentile of the recorded opening, relative to the neutral face.
        scores: by name of the evaluated animation.
        note: why there is no evaluation or calibration; empty otherwise.
    """

    choices: Mapping[str, Choice]
    shots: Sequence[str] = ()
    seconds: float = 0.0
    measured: str = ""
    true_opening_mm: float = float("nan")
    scores: Mapping[str, MouthScore] = field(default_factory=dict)
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Content of `calibration.json`: NaN becomes null."""
        content = {
            "parameters": {name: _without_empty(asdict(choice)) for name, choice in self.choices.items()},
            "shots": list(self.shots),
            "seconds": round(self.seconds, 2),
            "measured_on": self.measured,
            "recorded_opening_mm": self.true_opening_mm,
            "scores": {name: asdict(score) for name, score in self.scores.items()},
            "note": self.note,
        }
        return {name: _rounded(value) for name, value in content.items()}


def measure(motion: HeldOutMotion, choices: Mapping[str, Choice], uncalibrated: Mapping[str, Any]) -> ActorCalibration:
    """Evaluates network output and finished animation on the same shots.

    Args:
        motion: the held-out clips.
        choices: the deployed parameters.
        uncalibrated: the default CONFIG, for comparison.
    """
    clips = motion.clips
    found = ActorCalibration(
        choices=choices,
        shots=[clip.clip.shot for clip in clips],
        seconds=sum(clip.clip.num_frames / clip.clip.fps for clip in clips),
    )
    mouth = Mouth.from_motion(motion, values_of(choices))
    if mouth is None:
        return ActorCalibration(**{**vars(found), "note": "nothing moves on the held-out shots"})
    neutral = motion.face.skin[mouth.vertices]
    predicted = {
        NETWORK: [at_recorded_frames(clip, neutral + motion.predicted_skin(clip)[:, mouth.vertices]) for clip in clips],
        DEFAULTS: [finished_skin(motion, clip, mouth.vertices, uncalibrated) for clip in clips],
        FINISHED: [finished_skin(motion, clip, mouth.vertices, values_of(choices)) for clip in clips],
    }
    true = [true_skin(motion, clip, mouth.vertices) for clip in clips]
    measured = (
        f"{len(mouth.vertices) // 2} pairs of lip vertices"
        if mouth.has_lips
        else (f"the {len(mouth.vertices)} vertices of the {mouth.half} face that move most")
    )
    return ActorCalibration(
        **{
            **vars(found),
            "measured": measured,
            "true_opening_mm": _opening(true, neutral, mouth),
            "scores": {name: _score(positions, true, neutral, mouth) for name, positions in predicted.items()},
        }
    )


def _score(
    predicted: Sequence[Float64Array], true: Sequence[Float64Array], neutral: Float32Array, mouth: Mouth
) -> MouthScore:
    pairs = list(zip(predicted, true, strict=True))
    correlations = [correlation(_curve(one, mouth), _curve(other, mouth)) for one, other in pairs]
    defined = [value for value in correlations if not np.isnan(value)]
    return MouthScore(
        error_mm=MM_PER_CM * float(np.mean([vertex_error(*pair) for pair in pairs])),
        correlation=float(np.mean(defined)) if defined else float("nan"),
        opening_mm=_opening(predicted, neutral, mouth),
    )


def _curve(positions: Float64Array, mouth: Mouth) -> Float64Array:
    return np.asarray(np.tensordot(positions, mouth.weights, axes=2))


def _opening(positions: Sequence[Float64Array], neutral: Float32Array, mouth: Mouth) -> float:
    curve = np.concatenate([_curve(clip - neutral, mouth) for clip in positions])
    return MM_PER_CM * float(np.percentile(curve, PERCENTILE))


# --- Text -------------------------------------------------------------------------------------------------------


def summary_lines(actor: str, found: ActorCalibration) -> list[str]:
    """Lines for the log."""
    lines = [f"{actor}: {found.note}"] if found.note else []
    for name in (NETWORK, DEFAULTS, FINISHED):
        if name in found.scores:
            score = found.scores[name]
            lines.append(
                f"{actor}, validation, {name}: error {score.error_mm:.2f} mm, correlation {score.correlation:.3f}, "
                f"95th percentile of the opening {score.opening_mm:.1f} mm (recorded: {found.true_opening_mm:.1f} mm)"
            )
    calibrated = chosen(found, "calibrated")
    if calibrated:
        lines.append(f"{actor}: calibrated {', '.join(calibrated)}")
    skin = {why: [name for name in names if "face" in name or "lip" in name] for why, names in _reasons(found).items()}
    return lines + [f"{actor}: neutral {', '.join(names)}: {why}" for why, names in skin.items() if names]


def chosen(found: ActorCalibration, source: str) -> list[str]:
    """Names and values of the parameters from a source."""
    return [f"{name} {choice.value:g}" for name, choice in found.choices.items() if choice.source == source]


def readme_section(calibrations: Mapping[str, ActorCalibration]) -> str:
    """The section of the deployed README."""
    parts = [
        "## Post-processing",
        "Parameters from network output to finished animation (`model_config`), evaluated on the validation set.",
    ]
    for actor, found in calibrations.items():
        parts.append(f"### {actor}")
        parts += _table(found)
        parts.append("\n".join(_sources(found)))
    return "\n\n".join(parts)


def _table(found: ActorCalibration) -> list[str]:
    parts = [f"{_sentence(found.note)}"] if found.note else []
    if found.scores:
        rows = [
            f"| {name} | {score.error_mm:.2f} mm | {score.correlation:.3f} | {score.opening_mm:.1f} mm |"
            for name, score in found.scores.items()
        ]
        parts.append("\n".join(["| | error | correlation | opening |", "|---|---|---|---|", *rows]))
        parts.append(
            f"Measured on {found.measured}, {found.seconds:.1f} s of {', '.join(found.shots)}. Error: largest distance "
            "of a vertex from its recorded position, mean over frames. Correlation: of the opening over time with the "
            f"recorded one. Opening: its 95th percentile above neutral; recorded: {found.true_opening_mm:.1f} mm."
        )
    return parts


def _sources(found: ActorCalibration) -> list[str]:
    words = {
        "calibrated": "Calibrated on these shots",
        "configuration": "Set by the configuration",
        "default": "Defaults",
        "neutral": "Neutral, without effect on the network output",
    }
    lines = [f"- {words[source]}: {', '.join(names)}" for source in words if (names := chosen(found, source))]
    return lines + [f"    - {', '.join(names)}: {why}" for why, names in _reasons(found).items()]


def _reasons(found: ActorCalibration) -> dict[str, list[str]]:
    """Neutral parameters by reason."""
    reasons: dict[str, list[str]] = {}
    for name, choice in found.choices.items():
        if choice.reason:
            reasons.setdefault(choice.reason, []).append(name)
    return reasons


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != ""}


def _rounded(value: Any) -> Any:
    """The value with floats rounded to four decimals, and null for NaN."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 4)
    return value
