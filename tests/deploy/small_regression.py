"""Regression networks of random weights with speech encoders, and training runs that hold one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_networks import TINY_HUBERT
from training_runs import ACTOR, configuration, write_records

from audio2face.deploy.regression import RegressionPlan
from audio2face.io.atomic import write_npz
from audio2face.model_folder import EmotionDatabase, RegressionInfo
from audio2face.models import encoders
from audio2face.models.regression.layers import AutocorrelationSettings
from audio2face.models.regression.network import EncoderFrames, RegressionNetwork, RegressionSettings
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.checkpoint import save_tensors

OPTIONS: dict[str, dict[str, Any]] = {"wav2vec2-base": TINY_HUBERT, "logmel": {"width": 24}, "hama": {}}
AUTOCORRELATION = AutocorrelationSettings(
    num_autocorr=32, num_windows=25, win_len=640, win_stride=320, preemph=0.0, remove_dc=True, win_func="hanning"
)
SHOTS = {"s1_neutral": 3, "s2_joy": 5}


def network(name: str | None = "logmel", **changes: Any) -> RegressionNetwork:
    """A network in training mode, as a training leaves it."""
    torch.manual_seed(0)
    encoder = None if name is None else encoders.build(name, OPTIONS[name])
    sizes: dict[str, Any] = {"skin_size": 20, "tongue_size": 6, "jaw_size": 15, "eye_size": 4, "emotions": 2}
    sizes |= {"implicit_emotion_len": 16, "explicit_emo_emb_len": 8, "samples": 8320, "samplerate": 16000}
    settings = RegressionSettings(
        speech=None if encoder is None else EncoderFrames.from_encoder(encoder, 8320),
        autocorrelation=AUTOCORRELATION,
        use_autocorrelation=True,
        **sizes | changes,
    )
    made = RegressionNetwork(settings, encoder)
    made.set_noise_generator(torch.Generator().manual_seed(0))
    return made.train()


def plan(of: RegressionNetwork, recording: Path | None = None, has_emotions: bool = True) -> RegressionPlan:
    settings = of.settings
    info = RegressionInfo(
        actor="ada",
        version="0.1",
        emotions=("joy", "anger")[: settings.emotions],
        default_emotion=(0.0,) * settings.emotions,
        implicit_emotion_len=settings.implicit_emotion_len,
        num_shapes_skin=settings.skin_size,
        num_shapes_tongue=settings.tongue_size,
        num_verts_skin=30,
        num_verts_tongue=10,
        jaw_size=settings.jaw_size,
        eyes_size=settings.eye_size,
        buffer_len=8320,
        buffer_ofs=4160,
        samplerate=16000,
    )
    return RegressionPlan(info=info, has_emotions=has_emotions, recording=recording)


def database(length: int = 16) -> EmotionDatabase:
    """A table of two shots, the most usual row of which is the second of the second shot."""
    rows = np.random.default_rng(0).standard_normal((sum(SHOTS.values()), length)).astype(np.float32)
    rows[4] = (rows.sum(axis=0) - rows[4]) / (len(rows) - 1)
    return EmotionDatabase(tuple(SHOTS), (0, 3), tuple(SHOTS.values()), rows)


def write_regression_run(workspace: Path, artifacts: PreprocArtifacts, **changes: dict[str, Any]) -> RegressionNetwork:
    """Writes a finished training run on the reference's small actor, and returns its network."""
    counts = artifacts.data_info.counts
    configured = configuration(workspace, kind="regression", **changes)
    emotions = max(1, len(configured.dataset.SHOT_EMOTION_NAMES) - 1)
    shapes = {"skin_size": counts["num_shapes_skin"], "tongue_size": counts["num_shapes_tongue"]}
    made = network(emotions=emotions, **shapes)
    assert made.encoder is not None
    described = {
        "settings": dataclasses.asdict(made.settings),
        "actors": [ACTOR],
        "encoder": encoders.encoder_record(made.encoder),
    }
    verts = {name: counts[name] for name in ("num_verts_skin", "num_verts_tongue")}
    run = write_records(configured, described, verts)
    rows = torch.from_numpy(database().rows)
    save_tensors(
        {f"network.{name}": value for name, value in made.state_dict().items()} | {"emotions.rows": rows},
        run / "weights.safetensors",
    )
    write_npz(run / "deploy/implicit_emo_db.npz", database().as_arrays())
    return made.eval()
