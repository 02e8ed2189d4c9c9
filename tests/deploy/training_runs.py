"""A finished training run on the reference's small actor, with random weights, as training leaves it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_networks import network

from audio2face.config import Configuration, Roots
from audio2face.config.values import freeze, merge
from audio2face.config_base.tables import base_of
from audio2face.io.atomic import write_json
from audio2face.models import encoders
from audio2face.models.diffusion.network import ActorConstants, DiffusionNetwork
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.checkpoint import save_tensors

ACTOR, NAME, PREPROC = "ann", "260101_000000_small", "250909_135508_small"


def configuration(
    workspace: Path, stage: Any = "train", kind: Any = "diffusion", **changes: dict[str, Any]
) -> Configuration:
    """What the run was started with, and what it is deployed with; nothing is checked."""
    values: dict[Any, dict[str, Any]] = {
        "dataset": {"ACTOR_NAMES": [ACTOR], "SHOT_EMOTION_NAMES": ["neutral", "joy", "anger"]},
        "train": {},
        "inference": {"TIMESTEP_RESPACING": "2"} if kind == "diffusion" else {},
    }
    for name, section in changes.items():
        values[name] |= section
    return Configuration(
        name="small",
        stage=stage,
        actors=(ACTOR,),
        network_type=kind,
        roots=Roots(datasets=workspace.parent, workspace=workspace),
        modifiers=freeze(values),
        full=freeze({name: merge(base_of(name, kind).defaults, value) for name, value in values.items()}),
    )


def write_preproc_run(reference_data: Path, workspace: Path) -> PreprocArtifacts:
    """The reference's artifacts of its actor, with blend shapes that are not as consumers need them."""
    folder = workspace / "output_preproc" / PREPROC
    shutil.copytree(reference_data / "preproc/expected", folder, ignore=shutil.ignore_patterns("intermediate"))
    artifacts = PreprocArtifacts.open(folder)
    for part, name in (("skin", "neutral_skin"), ("tongue", "neutral_tongue")):
        neutral = artifacts.network_data.read_floats(name, (None, 3)).astype(np.float64)
        np.savez_compressed(
            folder / f"deploy/bs_{part}_{ACTOR}.npz", poseNames=np.array(["open"]), neutral=neutral, open=neutral + 0.1
        )
        settings: dict[str, Any] = {"numPoses": 1, "bsSolveActivePoses": [1]}
        settings |= {f"bsSolve{kind}Poses": [-1] for kind in ("Cancel", "Symmetry")}
        settings |= {"bsWeightMultipliers": [1.0], "bsWeightOffsets": [0.0]}
        kinds = ("L1regularization", "L2regularization", "TemporalSmoothing", "Symmetry")
        settings |= {f"strength{kind}": 1.0 for kind in kinds}
        write_json(folder / f"deploy/bs_{part}_config_{ACTOR}.json", {"blendshape_params": settings})
    np.savez(folder / f"deploy/display_{ACTOR}.npz", skin_faces=np.zeros((1, 3), np.int32))
    return artifacts


def write_training_run(workspace: Path, artifacts: PreprocArtifacts, **changes: dict[str, Any]) -> DiffusionNetwork:
    """Writes the run and returns its network."""
    info = artifacts.data_info
    configured = configuration(workspace, **changes)
    emotions = max(1, len(configured.dataset.SHOT_EMOTION_NAMES) - 1)
    sizes = {"skin_size": 3 * info.counts["num_verts_skin"], "tongue_size": 3 * info.counts["num_verts_tongue"]}
    random = network("logmel", actors=1, emotions=emotions, **sizes)
    neutral = torch.from_numpy(artifacts.mean_geometry.astype(np.float32))[None]
    scale = torch.tensor([[info.scale[part] for part in ("skin", "tongue", "jaw", "eye")]])
    made = DiffusionNetwork(random.settings, ActorConstants(neutral, scale), random.encoder)
    made.load_state_dict(random.state_dict())
    assert isinstance(made.encoder, encoders.SpeechEncoder)
    described = {"settings": dataclasses.asdict(made.settings), "encoder": encoders.encoder_record(made.encoder)}
    run = write_records(configured, described, {})
    save_tensors(made.state_dict(), run / "weights.safetensors")
    save_tensors({"neutral": neutral, "scale": scale}, run / "actor_constants.safetensors")
    return made.eval()


def write_records(configured: Configuration, described: dict[str, Any], params: dict[str, Any]) -> Path:
    """Writes what a run of any type says of itself, and returns its folder."""
    run = configured.roots.workspace / "output_train" / NAME
    configured.save(run / "configs/configuration.json")
    write_json(run / "configs/preproc_info.json", {"preproc_run_name_full": {ACTOR: PREPROC}})
    write_json(run / "configs/state.json", {"framework": {"version": "1.2.3", "git_commit": "abc1234"}})
    write_json(run / "network.json", {"network_type": configured.network_type, **described})
    write_json(run / "network_info_full.json", {"params": {**configured.full["train"], **params}})
    summary = {"epochs": 7, "steps": 70, "minutes": 1.5, "exported_step": 60}
    write_json(run / "summary.json", summary | {"exported_metrics": {"lip_error_mm": 1.25}})
    return run
