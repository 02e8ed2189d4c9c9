"""Small deployed folders that are sound, of each type, made with random geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from audio2face.config_base.tables import base_of
from audio2face.io.atomic import write_json, write_npz
from audio2face.model_folder import (
    AnimationConfig,
    DiffusionInfo,
    EmotionDatabase,
    NetworkInfo,
    RegressionInfo,
    StreamingInfo,
)
from audio2face.model_folder.writer import blendshape_names, write_actor, write_model_file, write_network_facts
from audio2face.types import MESHES

POSES = ("jawOpen", "mouthLeft", "mouthRight")

DIFFUSION = DiffusionInfo(
    actor="multi",
    version="0.1",
    emotions=("joy", "anger"),
    default_emotion=(0.0, 1.0),
    identities=("ada", "ben"),
    skin_size=36,
    tongue_size=15,
    jaw_size=15,
    eyes_size=4,
    num_diffusion_steps=2,
    num_gru_layers=2,
    gru_latent_dim=16,
    num_frames_left_truncate=15,
    num_frames_right_truncate=15,
    num_frames_center=30,
    buffer_len=16000,
    padding_left=16000,
    padding_right=16000,
    samplerate=16000,
)
REGRESSION = RegressionInfo(
    actor="ada",
    version="0.1",
    emotions=("joy",),
    default_emotion=(0.0,),
    implicit_emotion_len=4,
    num_shapes_skin=6,
    num_shapes_tongue=3,
    num_verts_skin=12,
    num_verts_tongue=5,
    jaw_size=15,
    eyes_size=4,
    buffer_len=8320,
    buffer_ofs=4160,
    samplerate=16000,
)
STREAMING = StreamingInfo(
    actor="multi",
    version="0.1",
    emotions=("joy", "anger"),
    default_emotion=(0.0, 1.0),
    identities=("ada", "ben"),
    num_shapes_skin=6,
    num_shapes_tongue=3,
    num_verts_skin=12,
    num_verts_tongue=5,
    jaw_size=15,
    eyes_size=4,
    fps=30.0,
    look_ahead_frames=2,
    state_size=100,
)


def write_model(folder: Path, info: NetworkInfo) -> None:
    """Writes a sound folder, but for the network itself, of which there are only a few bytes."""
    random = np.random.default_rng(0)
    regression = isinstance(info, RegressionInfo)
    write_network_facts(folder, info)
    (folder / "network.onnx").write_bytes(b"graph")
    parameters = dict(base_of("inference", info.type).defaults["CONFIG"])
    config = AnimationConfig(parameters, "s1", 1) if regression else AnimationConfig(parameters)
    for actor in info.identities:
        arrays = {
            name: random.standard_normal([7 if length is None else length for length in shape])
            for name, shape in info.actor_arrays.items()
        }
        write_actor(folder, info, actor, config, {**arrays, "blink_keys": np.zeros(10)})
        for part, neutral in zip(
            MESHES, [name for name in arrays if "neutral_" in name or "mean_" in name], strict=False
        ):
            _write_blendshapes(folder, part, actor, arrays[neutral])
    write_model_file(folder, info, dict.fromkeys(info.identities, MESHES))
    if regression:
        rows = random.standard_normal((5, info.implicit_emotion_len))
        write_npz(folder / "implicit_emo_db.npz", EmotionDatabase(("s1", "s2"), (0, 3), (3, 2), rows).as_arrays())


def _write_blendshapes(folder: Path, part: Any, actor: str, neutral: np.ndarray) -> None:
    names = blendshape_names(part, actor)
    random = np.random.default_rng(1)
    arrays: dict[str, Any] = {"poseNames": np.array(["neutral", *POSES], "S"), "neutral": neutral.astype(np.float32)}
    arrays |= {name: 0.1 * random.standard_normal(neutral.shape).astype(np.float32) for name in POSES}
    if part == "skin":
        arrays["frontalMask"] = np.arange(4, dtype=np.int32)
    write_npz(folder / names["data"], {**arrays, "rig_version": np.array(b"1.0")})
    settings = {
        "strengthL1regularization": 0.5,
        "strengthL2regularization": 0.5,
        "strengthTemporalSmoothing": 0.3,
        "strengthSymmetry": 100,
        "templateBBSize": 53.4,
        "numPoses": 3,
        "bsSolveActivePoses": [1, 1, 0],
        "bsSolveCancelPoses": [-1, 0, 0],
        "bsSolveSymmetryPoses": [-1, -1, -1],
        "bsWeightMultipliers": [1.0, 1.0, 1.5],
        "bsWeightOffsets": [0.0, 0.0, 0.0],
    }
    write_json(folder / names["config"], {"blendshape_params": settings})
