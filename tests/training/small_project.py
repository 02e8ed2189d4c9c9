"""Configurations that train in seconds: the reference's small actor, and small randomly initialised encoders."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from small_actor import EVERY_SHOT, add_run, configuration

from audio2face.config import Configuration
from audio2face.config.values import freeze, merge
from audio2face.config_base.tables import NetworkType, base_of
from audio2face.models.encoders.weights import transformer

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
_TRANSFORMER = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "layerdrop": 0.3,
    "mask_time_prob": 0.3,
}
_LISTS = {
    "SKIN_LIP_DIST_VERTEX_LIST_FPATH": "geom/skin/lip_dist_vertex_list.json",
    "SKIN_EYE_DIST_VERTEX_LIST_FPATH": "geom/skin/eye_dist_vertex_list.json",
}
_EVERY_SETTING: dict[str, Any] = {
    "RUN_NAME": "small",
    "AUG_MUTED_SHOTS": [["ann", ["s1_neutral", 3], 40, "neutral"], ["ann", ["s2_joy", 9], 40, "joy"]],
    "VALIDATION_SHOTS": {"ann": ["s4_neutral"]},
    "VALIDATION_PERIOD_EPOCHS": 4,
    "NUM_EPOCHS": 8,
    "LOG_PERIOD": 2,
    "DEVICE": "cpu",
    "CHECKPOINT_PERIOD_MINUTES": 0.0,
}
_DIFFUSION: dict[str, Any] = {
    "NETWORK_HYPER_PARAMS": {"feature_dim": 16, "gru_feature_dim": 16},
    "TARGET_FPS": 30.0,
    "SUBSEGMENT_MIN_FRAME": 12,
    "SUBSEGMENT_MAX_FRAME": 20,
    "AUGMENT": {"timeshift": 1.0, "pitch_shift": {"p": 0.5}},
    # Five clips in batches of 2, 2 and 1, accumulated by two: a step of four clips and one of a single clip per epoch.
    "BATCH_SIZE": 2,
    "GRADIENT_ACCUMULATION_STEPS": 2,
}
_STREAMING: dict[str, Any] = {
    # Five clips in two batches: two steps in each epoch.
    "NETWORK_HYPER_PARAMS": {"width": 16, "dilations": [1, 2]},
    "SUBSEGMENT_MIN_FRAME": 12,
    "SUBSEGMENT_MAX_FRAME": 20,
    "BATCH_SIZE": 3,
    "AUGMENT": {"timeshift": 1.0, "pitch_shift": {"p": 0.5}},
    "SPEECH_FEATURE_NOISE": 0.5,
    "SPEECH_ENCODER_LR_MULT": 0.1,
}
_REGRESSION: dict[str, Any] = {
    # Few sequences, far apart: two steps in each epoch.
    "SEQ_STRIDE": 40,
    "BATCH_SIZE": 6,
    "NETWORK_HYPER_PARAMS": {"w2v_num_layers": 2},
}
_OF_KIND = {"diffusion": _DIFFUSION, "regression": _REGRESSION, "streaming": _STREAMING}


def small_project(
    folder: Path, actors: tuple[str, ...] = ("ann",), kind: NetworkType = "diffusion", **changes: Any
) -> Configuration:
    """The configuration, in a workspace that is created if missing.

    Args:
        folder: folder of the workspace.
        actors: names of the actors; each has the data of ann.
        kind: kind of the network.
        changes: parameters of the dataset and training sections.
    """
    models, runs = folder / "models", folder / "output_preproc"
    for name, model_type in (("hubert-base", "hubert"), ("wav2vec2-base", "wav2vec2")):
        if not (models / name).is_dir():
            _write_model(models / name, model_type)
    for actor in actors:
        if not (runs / f"run_{actor}").is_dir():
            add_run(REFERENCE, runs / f"run_{actor}", actor)
    dataset = REFERENCE / "preproc/dataset"
    values = {name: {actor: str(dataset / path) for actor in actors} for name, path in _LISTS.items()}
    if kind == "regression":
        values["SPEECH_FEATURES_ROOT"] = str(folder / "speech_features")  # type: ignore[assignment]
    values |= _EVERY_SETTING | _OF_KIND[kind]
    values |= {
        "CLIPS": [[actor, *row[1:3], actor, *row[4:]] for actor in actors for row in EVERY_SHOT],
        "PREPROC_RUN_NAME_FULL": {actor: f"run_{actor}" for actor in actors},
        "TORCH_CACHE_ROOT": str(models),
    }
    trained = configuration(dataset, folder, actors, values | changes, kind)
    respaced = {"TIMESTEP_RESPACING": "2"} if kind == "diffusion" else {}
    inference = merge(base_of("inference", kind).defaults, respaced)
    return dataclasses.replace(trained, full=freeze({**trained.full, "inference": inference}))


def without_some_parts(folder: Path, actors: tuple[str, ...] = ("ann",)) -> dict[str, Any]:
    """Changes by which the shot of joy has no jaw and that of anger no eyes, although the actor has both."""
    folder.mkdir(parents=True, exist_ok=True)
    changes = {}
    for parameter, file, lacking in (
        ("JAW_ANIM_DATA_FPATH", "jaw_keypoints_cache_all.npz", "s2_joy"),
        ("EYE_ANIM_DATA_FPATH", "eye_rotations_all.npz", "s3_anger"),
    ):
        with np.load(REFERENCE / "preproc/dataset/xform" / file) as archive:
            np.savez(folder / file, **{shot: archive[shot] for shot in archive.files if shot != lacking})
        changes[parameter] = {actor: str(folder / file) for actor in actors}
    return changes


def _write_model(folder: Path, model_type: str) -> None:
    torch.manual_seed(5)
    model, config = transformer(model_type, _TRANSFORMER)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict() | {"model_type": model_type}))
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
