"""Deployed folders of the size of the reference's large actor with random weights, of both network types.

24,002 skin and 5,602 tongue vertices, 52 and 16 blend shapes; the diffusion network of `onnx_diffusion` (HuBERT base,
two steps, 60 frames per second), and a regression network on wav2vec 2.0 base with 272 and 10 shapes. Random values
cost as much as real ones.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio2face.animation import SolverSettings
from audio2face.config_base.tables import NetworkType, base_of
from audio2face.deploy import diffusion, regression
from audio2face.deploy.onnx_graph import export_graph
from audio2face.io.atomic import write_json, write_npz
from audio2face.model_folder import AnimationConfig, DiffusionInfo, EmotionDatabase, NetworkInfo, RegressionInfo
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.writer import blendshape_names, write_actor, write_model_file, write_network_facts
from audio2face.models import encoders
from audio2face.models.regression.layers import AutocorrelationSettings
from audio2face.models.regression.network import (
    EncoderFrames,
    ExportedRegression,
    RegressionNetwork,
    RegressionSettings,
)
from audio2face.types import MESHES, Mesh
from benchmarks.animation import SETTINGS, Rig, make_face, make_rigs
from benchmarks.onnx_diffusion import make_plan

_EMOTIONS = 10


def write_large_model(folder: Path, kind: NetworkType, small: bool = False) -> None:
    """Writes a folder that `DeployedModel.open` reads; `small` networks try a benchmark out."""
    rng = np.random.default_rng(0)
    info = _write_diffusion(folder, small) if kind == "diffusion" else _write_regression(folder, small)
    write_network_facts(folder, info)
    face = make_face(rng)
    skin, tongue = face.skin[: info.skin_verts], face.tongue[: info.tongue_verts]
    arrays = {
        "neutral_skin": skin,
        "shapes_mean_skin": skin,
        "neutral_tongue": tongue,
        "shapes_mean_tongue": tongue,
        "lip_open_pose_delta": face.lip_open[: info.skin_verts],
        "eye_close_pose_delta": face.eye_close[: info.skin_verts],
        "neutral_jaw": face.jaw,
        "saccade_rot_matrix": face.saccades,
    }
    for name, shape in info.actor_arrays.items():
        if name not in arrays:  # shapes; of a length at which random coefficients move a face by centimetres
            arrays[name] = 0.1 * rng.standard_normal([length or 1 for length in shape], np.float32)
    defaults = base_of("inference", kind).defaults["CONFIG"]
    parameters = {**{name: float(value or 0) for name, value in defaults.items() if name[:6] != "source"}}
    parameters |= {name: value for name, value in asdict(SETTINGS).items() if name in parameters}
    config = AnimationConfig(parameters, "shot", 0) if info.has_emotion_database else AnimationConfig(parameters)
    rigs = dict(zip(MESHES, make_rigs(face, False, rng), strict=True))
    verts = {"skin": info.skin_verts, "tongue": info.tongue_verts}
    for actor in info.identities:
        write_actor(folder, info, actor, config, arrays)
        for part in MESHES:
            _write_blendshapes(folder, part, actor, rigs[part], verts[part])
    write_model_file(folder, info, dict.fromkeys(info.identities, ("skin", "tongue")))
    if info.has_emotion_database:
        rows = rng.standard_normal((1, info.implicit_emotion_len), np.float32)
        write_npz(folder / "implicit_emo_db.npz", EmotionDatabase(("shot",), (0,), (1,), rows).as_arrays())


def _write_diffusion(folder: Path, small: bool) -> DiffusionInfo:
    network, plan = make_plan(small)
    sampler = diffusion.make_sampler(network, plan)
    export_graph(sampler, plan.info, partial(diffusion.example_inputs, plan.info), folder / ONNX_FILE)
    return plan.info


def _write_regression(folder: Path, small: bool) -> RegressionInfo:
    torch.manual_seed(0)
    encoder = encoders.build("wav2vec2-base", {"config": {"num_hidden_layers": 2} if small else {}})
    samples = 8320
    settings = RegressionSettings(
        skin_size=272,
        tongue_size=10,
        jaw_size=15,
        eye_size=4,
        emotions=_EMOTIONS,
        implicit_emotion_len=16,
        explicit_emo_emb_len=8,
        samples=samples,
        samplerate=16_000,
        speech=EncoderFrames.from_encoder(encoder, samples),
        autocorrelation=AutocorrelationSettings(),
        use_autocorrelation=True,
    )
    info = RegressionInfo(
        actor="a",
        version="0",
        emotions=tuple("0123456789"),
        default_emotion=(0.0,) * _EMOTIONS,
        implicit_emotion_len=settings.implicit_emotion_len,
        num_shapes_skin=settings.skin_size,
        num_shapes_tongue=settings.tongue_size,
        num_verts_skin=24_002,
        num_verts_tongue=5_602,
        jaw_size=settings.jaw_size,
        eyes_size=settings.eye_size,
        buffer_len=samples,
        buffer_ofs=samples // 2,
        samplerate=settings.samplerate,
    )
    module = ExportedRegression(RegressionNetwork(settings, encoder).eval().requires_grad_(False))
    export_graph(module, info, partial(regression.example_inputs, info), folder / ONNX_FILE)
    return info


def _write_blendshapes(folder: Path, part: Mesh, actor: str, rig: Rig, verts: int) -> None:
    names = blendshape_names(part, actor)
    poses = [f"pose{index}" for index in range(len(rig.deltas))]
    arrays: dict[str, Any] = {"poseNames": np.array(["neutral", *poses], "S"), "neutral": rig.neutral[:verts]}
    arrays |= dict(zip(poses, rig.deltas[:, :verts], strict=True))
    if rig.mask is not None:
        arrays["frontalMask"] = rig.mask[rig.mask < verts]
    write_npz(folder / names["data"], arrays)
    write_json(folder / names["config"], {"blendshape_params": _params(rig.settings)})


def _params(settings: SolverSettings) -> dict[str, Any]:
    return {
        "strengthL1regularization": settings.l1,
        "strengthL2regularization": settings.l2,
        "strengthTemporalSmoothing": settings.temporal,
        "strengthSymmetry": settings.symmetry,
        "templateBBSize": settings.template_size,
        "numPoses": len(settings.active),
        "bsSolveActivePoses": [int(active) for active in settings.active],
        "bsSolveCancelPoses": list(settings.cancel_pairs),
        "bsSolveSymmetryPoses": list(settings.symmetry_pairs),
        "bsWeightMultipliers": list(settings.multipliers),
        "bsWeightOffsets": list(settings.offsets),
    }


def describe(info: NetworkInfo) -> str:
    """A network in a few words."""
    return f"{info.type}, {info.skin_verts:,} and {info.tongue_verts:,} vertices"
