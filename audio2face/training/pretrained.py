"""Weights to start from: those of an earlier run of ours, or of the reference; other actors than before are allowed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from audio2face.console import LOGGER
from audio2face.dataset.arrays import read_json
from audio2face.errors import FileFormatError, UserError, reason_of
from audio2face.networks.diffusion_rnn import Network, widen_actors
from audio2face.networks.encoders import SpeechEncoder, check_record
from audio2face.networks.reference_weights import convert_reference_weights, convert_regression_weights
from audio2face.networks.regression import RegressionNetwork
from audio2face.training.training_run import NETWORK_FILE

_ENCODER = "encoder."
_WEIGHTS_HINT = "Save the state dictionary alone (named tensors), or copy the file once more."
_ACTORS = "actor_projection.weight"
_IN_A_LEARNER = "network."  # what the names of a regression network's weights begin with in a run


def load_pretrained(network: Network, path: Path, actors: Sequence[str]) -> None:
    """Fills a diffusion network from a file.

    Args:
        network: the network, made for `actors`.
        path: `weights.safetensors` in a run folder of ours, or the reference's `weights.pth`.
        actors: names of the actors in order.

    Raises:
        UserError: the file is damaged, of other sizes, or was trained with another speech encoder.
    """
    if path.suffix == ".safetensors":
        weights, recorded = _ours(network.encoder, path, "diffusion")
        before = [str(actor) for actor in recorded["actors"]]
    else:
        weights = _with_encoder(network, *convert_reference_weights(_references(path)))
        before = list(actors)[: weights[_ACTORS].shape[1]]
    columns = [before.index(actor) if actor in before else None for actor in actors]
    same = "emotions, NETWORK_HYPER_PARAMS, TARGET_FPS, DIFFUSION_STEPS and SPEECH_ENCODER"
    _load(network, widen_actors(weights, columns), path, f"the mesh, {same}")
    added = [actor for actor, column in zip(actors, columns, strict=True) if column is None]
    LOGGER.info("starting from %s%s", path, f"; new actors: {', '.join(added)}" if added else "")


def load_pretrained_regression(network: RegressionNetwork, path: Path, languages: Sequence[str]) -> None:
    """Fills a regression network from a file; implicit emotions are learnt anew.

    Args:
        network: the network.
        path: see `load_pretrained`.
        languages: whose phonemes it names, in order.

    Raises:
        UserError: see `load_pretrained`.
    """
    if path.suffix == ".safetensors":
        every, _ = _ours(network.encoder, path, "regression")
        own = {name: weight for name, weight in every.items() if name.startswith(_IN_A_LEARNER)}
        weights = {name.removeprefix(_IN_A_LEARNER): weight for name, weight in own.items()}
    else:
        weights = _with_encoder(network, *convert_regression_weights(_references(path), languages))
    same = "shapes, emotions, NETWORK_HYPER_PARAMS, PHONEME_FORCING_LANGS and SPEECH_ENCODER"
    _load(network, weights, path, f"the number of {same}")
    LOGGER.info("starting from %s", path)


def _ours(encoder: nn.Module | None, path: Path, kind: str) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """Weights of a run of ours, and what it recorded of its network."""
    record = path.with_name(NETWORK_FILE)
    if not record.is_file():
        raise UserError(
            f"lies beside no {NETWORK_FILE}, which says what it is", path=path, hint="Leave it in its run folder."
        )
    recorded = read_json(record)
    try:
        weights = load_file(path)
        found, heard = recorded["network_type"], recorded["encoder"]
        recorded["actors"][0]
    except (OSError, SafetensorError) as error:
        raise FileFormatError(
            f"cannot be read as weights: {reason_of(error)}", path=path, hint=_WEIGHTS_HINT
        ) from error
    except (KeyError, TypeError, IndexError) as error:
        raise FileFormatError(f"does not describe a {kind} network ({error})", path=record) from error
    if found != kind:
        raise UserError(f"holds a {found} network, expected a {kind} network", path=path)
    if isinstance(encoder, SpeechEncoder):
        check_record(encoder, heard or {}, path)
    return weights, recorded


def _references(path: Path) -> dict[str, Tensor]:
    """Weights of the reference."""
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise FileFormatError(
            f"cannot be read as weights: {reason_of(error)}", path=path, hint=_WEIGHTS_HINT
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise FileFormatError("holds something other than named tensors", path=path)
    return state


def _with_encoder(network: nn.Module, weights: dict[str, Tensor], encoder: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Adds the encoder's weights, renamed; where there are none, the network keeps those that it has."""
    if encoder:
        return weights | {f"{_ENCODER}model.{_present_name(name)}": tensor for name, tensor in encoder.items()}
    return {name: value for name, value in network.state_dict().items() if name.startswith(_ENCODER)} | weights


def _present_name(name: str) -> str:
    # Magnitude and direction of the positional convolution, as files older than torch 2.1 call them.
    name = name.replace("conv.weight_g", "conv.parametrizations.weight.original0")
    return name.replace("conv.weight_v", "conv.parametrizations.weight.original1")


def _load(network: nn.Module, weights: dict[str, Tensor], path: Path, needs: str) -> None:
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
            hint=f"PRETRAINED_NET_FPATH needs {needs} that it was trained with.",
        )
    network.load_state_dict(weights)
