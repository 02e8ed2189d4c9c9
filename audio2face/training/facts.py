"""What a run records of itself for other tools and for people: sizes, settings, and the origins of its data."""

from __future__ import annotations

from typing import Any, Literal

from audio2face.config import Configuration
from audio2face.model_folder.network_info import SEVERAL_ACTORS
from audio2face.training.data import TrainingData
from audio2face.training.origins import describe as describe_origins
from audio2face.training.training_run import INFO_FILE, PREPROC_FILE
from audio2face.training.validation_record import VALIDATION_FILE, describe_validation


def run_records(
    kind: Literal["diffusion", "regression"], data: TrainingData, configuration: Configuration
) -> dict[str, Any]:
    """The JSON files of a run, by their path in its folder, see `Task.records`.

    Args:
        kind: of network.
        data: what is learnt from.
        configuration: for stage "train".
    """
    train = configuration.train
    emotions, actors = data.emotions, [source.actor for source in data.sources]
    counts = data.sources[0].info.counts
    sizes = {
        name: counts[name] for name in ("num_shapes_skin", "num_verts_skin", "num_shapes_tongue", "num_verts_tongue")
    }
    settings = {
        "actor_names": actors,
        "explicit_emotions": list(emotions.names),
        **sizes,
        "result_jaw_size": 3 * counts["num_keypoints_jaw"],
        "result_eyes_size": 2 * counts["num_angles_eye"],
    }
    info = {
        "id": {
            "type": kind,
            "actor": actors[0] if len(actors) == 1 else SEVERAL_ACTORS,
            "version": train.NETWORK_VERSION,
            "output": "geometry",
        },
        "name": train.NETWORK_NAME,
        "params": {**configuration.full["train"], **settings},
        "audio_params": dict(train.AUDIO_PARAMS),
        "default_emotion": emotions.vector(train.DEFAULT_SHOT_EMOTION_NAME).tolist(),
    }
    return {
        PREPROC_FILE: describe_origins(data.sources, configuration.roots),
        VALIDATION_FILE: describe_validation(data.validation_clips, configuration.roots),
        INFO_FILE: info,
    }
