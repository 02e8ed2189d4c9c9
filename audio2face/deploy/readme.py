"""The README of a deployed folder: description, training, quality and use of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audio2face.deploy.parity import ParityReport
from audio2face.deploy.plan import deploy_module
from audio2face.io.atomic import pretty_json
from audio2face.model_folder import AnimationConfig, NetworkInfo, engine_command
from audio2face.model_folder.card import card_header
from audio2face.model_folder.model import MODEL_FILE, display_name
from audio2face.model_folder.regression import EMOTION_DATABASE_FILE
from audio2face.training.comparison import BaselineComparison

# Names of the emotions of Audio2Emotion in a model's list.
_SYNONYMS = {
    "angry": ("anger", "angry"),
    "disgust": ("disgust", "disgusted"),
    "fear": ("fear", "afraid", "fearful"),
    "happy": ("joy", "happy", "happiness"),
    "neutral": ("neutral",),
    "sad": ("sadness", "sad"),
}
_SETTINGS_SHOWN = ("NUM_EPOCHS", "BATCH_SIZE", "GRADIENT_ACCUMULATION_STEPS", "LEARNING_RATE", "TARGET_FPS")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Provenance of a model; unknown facts are empty.

    Attributes:
        run: name of the training run.
        encoder: record of the speech encoder; empty without one.
        parity: result of the parity check.
        settings: training parameters by name.
        framework: version and commit of the framework.
        training: summary of training, such as "400 epochs".
        metrics: validation metrics of the exported weights by name.
        comparison: the exported weights beside baselines.
        licence: MODEL_LICENSE; None where it is not stated.
    """

    run: str
    encoder: Mapping[str, Any]
    parity: ParityReport
    settings: Mapping[str, Any] = field(default_factory=dict)
    framework: str = ""
    training: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    comparison: BaselineComparison | None = None
    licence: str | None = None


def readme_text(
    info: NetworkInfo,
    config: AnimationConfig,
    provenance: Provenance,
    *,
    has_emotions: bool,
    weights: Mapping[str, bool],
    displayed: Sequence[str],
    post_processing: str,
) -> str:
    """Composes the README.

    Args:
        info: inputs and outputs of the network.
        config: animation parameters.
        provenance: origin of the model.
        has_emotions: False if the only emotion is a placeholder.
        weights: by actor, whether blend-shape weights can be solved.
        displayed: the actors with data for drawing.
        post_processing: the section on animation parameters and their effect on the error.
    """
    sections = [
        _what(info, config, has_emotions),
        _origin(provenance),
        _quality(provenance),
        *([] if provenance.comparison is None else [provenance.comparison.readme_section()]),
        post_processing,
        *([_engine(info)] if info.runs_in_sdk else []),
        _content(info, weights, displayed),
        _audio2emotion(info, has_emotions),
    ]
    header = card_header(
        name=provenance.run,
        network_type=info.type,
        actors=info.identities,
        licence=provenance.licence,
        metrics=provenance.metrics,
    )
    return header + "\n\n".join(sections) + "\n"


def _what(info: NetworkInfo, config: AnimationConfig, has_emotions: bool) -> str:
    several = "Multi-Actor " if len(info.identities) > 1 else ""
    kind = info.type.capitalize()
    emotions = ", ".join(info.emotions) if has_emotions else f"{info.emotions[0]} (a placeholder without effect)"
    default = [name for name, value in zip(info.emotions, info.default_emotion, strict=True) if value]
    return "\n".join(
        [
            f"# Audio2Face {several}{kind} Model",
            "",
            "Generates facial animation from speech: skin, tongue, lower jaw and eyes."
            f"{' For the Audio2Face-3D SDK.' if info.runs_in_sdk else ''}",
            "",
            f"- Actors: {', '.join(info.identities)}",
            f"- Emotions: {emotions}; default: {', '.join(default) or 'none (all zero)'}",
            f"- Model version: {info.version}",
            f"- {info.skin_verts:,} vertices of skin, {info.tongue_verts:,} of tongue, {info.jaw_size // 3} key points "
            "of the jaw; lengths in centimetres, y upwards",
            *deploy_module(info.type).describe(info, config),
        ]
    )


def _origin(provenance: Provenance) -> str:
    settings = [f"{name} {provenance.settings[name]}" for name in _SETTINGS_SHOWN if name in provenance.settings]
    rows = [f"- Training run: {provenance.run}"]
    rows += [f"- Framework: {provenance.framework}"] if provenance.framework else []
    rows += [f"- Training: {provenance.training}"] if provenance.training else []
    rows += [f"- Settings: {', '.join(settings)}"] if settings else []
    rows += _encoder(provenance.encoder)
    rows += [f"- Licence of this model: {provenance.licence or 'not stated (MODEL_LICENSE)'}"]
    return "\n".join(["## How it was trained", "", *rows])


def _encoder(encoder: Mapping[str, Any]) -> list[str]:
    if not encoder:
        return ["- Speech encoder: none"]
    return [
        f"- Speech encoder: {encoder.get('name')}, from {encoder.get('source')}",
        f"    - licence of its weights: {encoder.get('licence')}",
        f"    - SHA-256 of its weights: {encoder.get('weights_sha256') or 'none, it was trained from scratch'}",
        f"    - frozen parts: {', '.join(encoder.get('frozen') or ()) or 'none'}",
    ]


def _quality(provenance: Provenance) -> str:
    rows = [f"| {name} | {value:.4g} |" for name, value in provenance.metrics.items()]
    table = ["On the validation set:", "", "| metric | value |", "|---|---|", *rows]
    lines = table if rows else ["There was no validation set."]
    parity = provenance.parity
    lines += [
        "",
        f"The exported network differs from the trained one by at most {parity.largest_in_words} "
        f"({parity.conditions}).",
    ]
    return "\n".join(["## Quality", "", *lines])


def _engine(info: NetworkInfo) -> str:
    return "\n".join(
        [
            "## Building the engine",
            "",
            "The SDK runs a TensorRT engine for one GPU and TensorRT version, which is built on the target machine.",
            "In this folder, with TensorRT 10 or later:",
            "",
            "```bash",
            engine_command(info),
            "```",
            "",
            "`--maxShapes` limits the number of concurrent tracks. `trt_info.json` has the same settings for scripts.",
        ]
    )


def _content(info: NetworkInfo, weights: Mapping[str, bool], displayed: Sequence[str]) -> str:
    rows = [
        f"- `{MODEL_FILE}` lists all files that the SDK reads.",
        "- `network.onnx` is the network for other runtimes, such as onnxruntime.",
        f"- `{info.config_file('<actor>')}` contains the animation parameters, editable within the SDK's ranges.",
        "- `calibration.json` contains the source of each of these values, and the resulting error of the mouth.",
    ]
    rows.append(
        "- The tongue is output in the space of the jaw, as in the SDK: parent it to the lower teeth, or transform its "
        "vertices by the jaw's matrix. Finished animations of the framework include this transform."
    )
    if info.has_emotion_database:
        rows.append(f"- `{EMOTION_DATABASE_FILE}` contains the implicit emotion of every training frame.")
    rows += [
        f"- `{display_name(actor)}` contains polygons and vertex lists for drawing; the SDK ignores it."
        for actor in displayed
    ]
    without = [actor for actor, complete in weights.items() if not complete]
    if without:
        rows.append(
            f"- Geometry only for {', '.join(without)}: blend-shape weights need blend shapes of both skin and tongue."
        )
    rows.append("- `python run_deploy.py --check FOLDER` validates the folder after changes.")
    return "\n".join(["## Contents of the folder", "", *rows])


def _audio2emotion(info: NetworkInfo, has_emotions: bool) -> str:
    head = "## Together with Audio2Emotion\n\n"
    if not has_emotions:
        return head + "The model has no emotions, so Audio2Emotion has no effect."
    text = pretty_json(audio2emotion_block(info.emotions))
    return f"{head}Add this to the model config of Audio2Emotion:\n\n```json\n{text}\n```"


def audio2emotion_block(emotions: Sequence[str]) -> dict[str, Any]:
    """The `post_processing_config` that maps Audio2Emotion to a list of emotions; -1: no counterpart."""
    indices = {name.lower(): index for index, name in reversed(list(enumerate(emotions)))}
    matches = {
        theirs: next((indices[name] for name in names if name in indices), -1) for theirs, names in _SYNONYMS.items()
    }
    return {
        "post_processing_config": {
            "output_emotion_length": len(emotions),
            "emotion_contrast": 1.0,
            "max_emotions": 6,
            "live_blend_coef": 0.7,
            "enable_preferred_emotion": False,
            "preferred_emotion_strength": 0.5,
            "transition_smoothing": 0.5,
            "fixed_dt": 0.033,
            "emotion_strength": 0.6,
            "preferred_emotion": [0.0] * len(emotions),
            "emotion_correspondence": matches,
        }
    }
