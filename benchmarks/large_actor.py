"""A synthetic actor of the size of the reference's, preprocessed already, with sound: for training benchmarks.

24,002 skin and 5,602 tongue vertices, 272 and 10 shapes, jaw and eyes. Shapes, motion and sound are random, and cost
as much as real ones; so do the weights of a speech encoder.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter1d

from audio2face.config import Configuration, Roots
from audio2face.config.values import freeze, merge
from audio2face.config_base.tables import NetworkType, SectionName, base_of
from audio2face.io.atomic import write_json, write_npz
from audio2face.models.encoders.weights import transformer
from audio2face.preproc import artifacts, network_data
from audio2face.types import Float32Array, Mesh

NAME = "large"
FPS = 30.0
SAMPLERATE = 16_000
EMOTIONS = ("neutral", "joy", "anger", "sadness")
_SMOOTH = 4.0  # frames


@dataclass(frozen=True)
class Sizes:
    """How large the actor is."""

    shots: int = 16
    frames: int = 390
    skin_verts: int = 24_002
    skin_shapes: int = 272
    tongue_verts: int = 5_602
    tongue_shapes: int = 10


def make_actor(folder: Path, sizes: Sizes, *, alike: bool = False) -> None:
    """Writes raw data that training reads into `<folder>/data`, and a preprocessing run beside it.

    Args:
        folder: where they are written.
        sizes: of the actor.
        alike: whether all shots have the same motion and sound, which is quick to make.
    """
    rng = np.random.default_rng(3)
    names = [f"shot{index:02d}_{EMOTIONS[index % len(EMOTIONS)]}" for index in range(sizes.shots)]
    run, data = folder / "output_preproc" / NAME, folder / "data"
    skin = _shapes(rng, sizes.skin_shapes, sizes.skin_verts)
    tongue = _shapes(rng, sizes.tongue_shapes, sizes.tongue_verts)
    parts: dict[Mesh, network_data.PcaComponents] = {"skin": skin, "tongue": tongue}
    for part, shapes in parts.items():
        artifacts.write_components(run, part, shapes)
        artifacts.write_coefficients(run, part, _motions(rng, sizes, len(shapes.matrix), names, alike))
    poses = network_data.OptionalPoses(
        jaw_neutral=rng.standard_normal((5, 3)).astype(np.float32),
        saccades=rng.standard_normal((100, 2)).astype(np.float32),
    )
    arrays = network_data.network_data(skin, tongue, poses, network_data.PlaceholderShapes((5, 3), (10,), (5000, 2)))
    info = network_data.DataInfo.measure(arrays, {})
    shots = [
        network_data.ShotRow(NAME, name, sizes.frames, FPS, EMOTIONS[index % len(EMOTIONS)])
        for index, name in enumerate(names)
    ]
    artifacts.write_deploy(run, arrays, info, network_data.mean_geometry(arrays, info), shots, {})
    for stem, facts in artifacts.identity_facts(NAME, "synthetic").items():
        write_json(run / "configs" / f"{stem}.json", facts)
    write_npz(
        data / "jaw.npz",
        {name: values.reshape(-1, 5, 3) for name, values in _motions(rng, sizes, 15, names, alike).items()},
    )
    write_npz(
        data / "eye.npz",
        {name: values.reshape(-1, 2, 2) for name, values in _motions(rng, sizes, 4, names, alike).items()},
    )
    marks = np.linspace(0, sizes.skin_verts - 1, 20).astype(int).tolist()
    write_json(data / "lip_dist.json", {"upper": marks[:5], "lower": marks[5:10]})
    write_json(data / "eye_dist.json", {"upper": marks[10:12], "lower": marks[12:14]})
    (data / "audio").mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        (data / "skin" / name).mkdir(parents=True, exist_ok=True)
        if alike and index:
            shutil.copyfile(data / "audio" / f"{names[0]}.wav", data / "audio" / f"{name}.wav")
            continue
        sound = 0.1 * rng.standard_normal(round(sizes.frames / FPS * SAMPLERATE))
        soundfile.write(data / "audio" / f"{name}.wav", sound, SAMPLERATE, subtype="PCM_16")


def make_encoder(folder: Path, kind: Literal["hubert", "wav2vec2"], config: Mapping[str, Any]) -> None:
    """Writes a speech encoder of random weights, where `configuration` looks for it.

    Args:
        folder: as given to `make_actor`.
        kind: "hubert" or "wav2vec2".
        config: what differs from the size of the base model.
    """
    torch.manual_seed(0)
    target = folder / "models" / f"{kind}-base"
    model, filled = transformer(kind, config)
    write_json(target / "config.json", filled.to_dict() | {"model_type": kind})
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, target / "model.safetensors")


def configuration(folder: Path, network_type: NetworkType, train: Mapping[str, Any]) -> Configuration:
    """A configuration for stage "train" on the actor that `make_actor` wrote.

    Args:
        folder: as given to `make_actor`.
        network_type: of the network.
        train: training parameters that differ from the defaults.
    """
    files = {
        "AUDIO_ROOT": "audio",
        "SKIN_CACHE_ROOT": "skin",
        "SKIN_LIP_DIST_VERTEX_LIST_FPATH": "lip_dist.json",
        "SKIN_EYE_DIST_VERTEX_LIST_FPATH": "eye_dist.json",
        "JAW_ANIM_DATA_FPATH": "jaw.npz",
        "EYE_ANIM_DATA_FPATH": "eye.npz",
    }
    values: dict[SectionName, dict[str, Any]] = {
        "dataset": {
            **{name: {NAME: str(folder / "data" / file)} for name, file in files.items()},
            "CACHE_FPS": {NAME: FPS},
            "SHOT_EMOTION_NAMES": list(EMOTIONS),
            "ACTOR_NAMES": [NAME],
        },
        "train": {
            "PREPROC_ROOT": str(folder / "output_preproc"),
            "PREPROC_RUN_NAME_FULL": {NAME: NAME},
            "TORCH_CACHE_ROOT": str(folder / "models"),
            "VALIDATION_FRACTION": 0.0,
            **train,
        },
        "inference": {"TIMESTEP_RESPACING": "2"} if network_type == "diffusion" else {},
    }
    full = {name: merge(base_of(name, network_type).defaults, section) for name, section in values.items()}
    return Configuration(
        name=NAME,
        stage="train",
        actors=(NAME,),
        network_type=network_type,
        roots=Roots(datasets=folder, workspace=folder),
        modifiers=freeze(values),
        full=freeze(full),
    )


def _shapes(rng: np.random.Generator, count: int, verts: int) -> network_data.PcaComponents:
    matrix = rng.standard_normal((count, verts, 3), np.float32) / np.sqrt(np.float32(3 * verts))
    return network_data.PcaComponents(matrix, (rng.standard_normal((verts, 3)) * 8).astype(np.float32))


def _motions(
    rng: np.random.Generator, sizes: Sizes, width: int, names: list[str], alike: bool
) -> dict[str, Float32Array]:
    if alike:
        return dict.fromkeys(names, _motion(rng, sizes, width))
    return {name: _motion(rng, sizes, width) for name in names}


def _motion(rng: np.random.Generator, sizes: Sizes, width: int) -> Float32Array:
    values = gaussian_filter1d(rng.standard_normal((sizes.frames, width)), _SMOOTH, axis=0)
    return values.astype(np.float32)
