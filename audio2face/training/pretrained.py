"""Weights to start from: those of an earlier run of ours, or of the reference; other actors than before are allowed."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from audio2face.console import LOGGER
from audio2face.dataset.arrays import read_json
from audio2face.errors import FileFormatError, UserError
from audio2face.networks.diffusion_rnn import Network, widen_actors
from audio2face.networks.encoders import SpeechEncoder, check_record
from audio2face.networks.reference_weights import convert_reference_weights
from audio2face.training.training_run import NETWORK_FILE

_ENCODER = "encoder."
_ACTORS = "actor_projection.weight"


def load_pretrained(network: Network, path: Path, actors: Sequence[str]) -> None:
    """Fills a network from a file.

    Args:
        network: the network, made for `actors`.
        path: `weights.safetensors` in a run folder of ours, or the reference's `weights.pth`.
        actors: names of the actors in order.

    Raises:
        UserError: the file is damaged, of other sizes, or was trained with another speech encoder.
    """
    if path.suffix == ".safetensors":
        weights, before = _ours(network, path)
    else:
        weights = _references(network, path)
        before = list(actors)[: weights[_ACTORS].shape[1]]
    columns = [before.index(actor) if actor in before else None for actor in actors]
    _load(network, widen_actors(weights, columns), path)
    added = [actor for actor, column in zip(actors, columns, strict=True) if column is None]
    LOGGER.info("starting from %s%s", path, f"; new actors: {', '.join(added)}" if added else "")


def _ours(network: Network, path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Weights and actors of a run of ours."""
    record = path.with_name(NETWORK_FILE)
    if not record.is_file():
        raise UserError(
            f"lies beside no {NETWORK_FILE}, which says what it is", path=path, hint="Leave it in its run folder."
        )
    recorded = read_json(record)
    try:
        weights = load_file(path)
        before, encoder = [str(actor) for actor in recorded["actors"]], recorded["encoder"]
    except (OSError, SafetensorError) as error:
        raise FileFormatError(f"cannot be read as weights: {error}", path=path) from error
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"does not describe a diffusion network ({error})", path=record) from error
    assert isinstance(network.encoder, SpeechEncoder)
    check_record(network.encoder, encoder, path)
    return weights, before


def _references(network: Network, path: Path) -> dict[str, Tensor]:
    """Weights of the reference, renamed."""
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise FileFormatError(f"cannot be read as weights: {error}", path=path) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise FileFormatError("holds something other than named tensors", path=path)
    weights, encoder = convert_reference_weights(state)
    if encoder:
        weights |= {f"{_ENCODER}model.{_present_name(name)}": tensor for name, tensor in encoder.items()}
    else:
        weights |= {name: value for name, value in network.state_dict().items() if name.startswith(_ENCODER)}
    return weights


def _present_name(name: str) -> str:
    # Magnitude and direction of the positional convolution, as files older than torch 2.1 call them.
    name = name.replace("conv.weight_g", "conv.parametrizations.weight.original0")
    return name.replace("conv.weight_v", "conv.parametrizations.weight.original1")


def _load(network: Network, weights: dict[str, Tensor], path: Path) -> None:
    expected = network.state_dict()
    faults = [f"{name} is missing" for name in expected if name not in weights]
    faults += [f"{name} is unknown" for name in weights if name not in expected]
    faults += [
        f"{name} has the shape {list(weights[name].shape)}, expected {list(expected[name].shape)}"
        for name in expected
        if name in weights and weights[name].shape != expected[name].shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise UserError(
            f"does not fit the network: {'; '.join(faults[:3])}{more}",
            path=path,
            hint="PRETRAINED_NET_FPATH needs the mesh, emotions, NETWORK_HYPER_PARAMS, TARGET_FPS, DIFFUSION_STEPS and "
            "SPEECH_ENCODER that it was trained with.",
        )
    network.load_state_dict(weights)
