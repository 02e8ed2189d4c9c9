"""Loading of pretrained weights: from a training run, or from the reference framework, whose weights are renamed."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from audio2face.console import LOGGER
from audio2face.errors import FileFormatError, UserError, reason_of
from audio2face.io.arrays import read_json
from audio2face.models.diffusion.network import DiffusionNetwork, widen_actors
from audio2face.models.encoders import SpeechEncoder, check_encoder_record
from audio2face.models.regression.network import RegressionNetwork
from audio2face.models.streaming.network import StreamingNetwork
from audio2face.training.run_folder import NETWORK_FILE

# Prefix in the reference -> prefix in `DiffusionNetwork`.
_DIFFUSION_NAMES = {
    "proj_hubert.": "speech_projection.",
    "geometry_embedding.skin_embedding.0.": "geometry.skin.linear.",
    "geometry_embedding.skin_embedding.1.": "geometry.skin.filter.",
    "geometry_embedding.tongue_embedding.0.": "geometry.tongue.linear.",
    "geometry_embedding.tongue_embedding.1.": "geometry.tongue.filter.",
    "geometry_embedding.jaw_embedding.": "geometry.jaw.0.",
    "geometry_embedding.eye_embedding.": "geometry.eye.0.",
    "geometry_embedding.final.": "geometry.merge.",
    "proj_time.0.": "timestep_projection.",
    "embed_actor.": "actor_projection.",
    "embed_emo_vector.": "emotion_projection.",
    "gru.": "gru.",  # layers are renamed by `_gru_layer_name`
    "final_layer_skin.": "heads.skin.",
    "final_layer_tongue.": "heads.tongue.",
    "final_layer_jaw.": "heads.jaw.",
    "final_layer_eye.": "heads.eye.",
}

# Prefix in the reference -> prefix in `RegressionNetwork`. Kernels of the reference have an extra axis of length 1.
_REGRESSION_NAMES = {
    "w2v_feature_coeffs": "encoder.combine.coefficients",
    "w2v_linear_mapping.": "speech.projection.",
    **{f"freq{number}.": f"autocorrelation.layers.{number - 1}." for number in range(1, 6)},
    "linear_explicit_emo.": "explicit_emotion.",
    **{f"time{number}.": f"time.layers.{number - 1}." for number in range(1, 5)},
    "time5.": "time.merge.",
    "linear_skin_jaw_eyes1.": "heads.face.0.",
    "linear_skin_jaw_eyes2.": "heads.face.1.",
    "linear_tongue1.": "heads.tongue.0.",
    "linear_tongue2.": "heads.tongue.1.",
    "phoneme_conv1.": "phonemes.layers.0.",
    "phoneme_conv2.": "phonemes.layers.1.",
}
_TEMPORAL_CONVOLUTIONS = ("time.layers.", "phonemes.layers.")  # their kernels have four axes in the reference
# Prefix in torchaudio's wav2vec 2.0 -> prefix in that of `transformers`.
_WAV2VEC_NAMES = {
    "feature_extractor.": "feature_extractor.",
    "encoder.feature_projection.": "feature_projection.",
    "encoder.transformer.": "encoder.",
}


def convert_reference_weights(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Renames the weights of a diffusion network of the reference.

    Args:
        state: its state dictionary, as `torch.load(..., weights_only=True)` gives it.

    Returns:
        The state of our network without encoder; and that of its HuBERT, named as `transformers` names the weights of a
        `HubertModel` (empty where the state holds none).

    Raises:
        UserError: these are not the weights of such a network.
    """
    network: dict[str, Tensor] = {}
    encoder: dict[str, Tensor] = {}
    for name, weight in state.items():
        start = next((start for start in _DIFFUSION_NAMES if name.startswith(start)), None)
        if start is None:
            encoder[name] = weight
        else:
            network[_gru_layer_name(_DIFFUSION_NAMES[start] + name.removeprefix(start))] = weight
    # The encoder is one module of any name: all its weights share the first part of their names.
    holders = {name.split(".")[0] for name in encoder}
    if not network or len(holders) > 1:
        raise UserError(
            f"these are not the weights of a diffusion network: unknown {', '.join(sorted(holders)[:5]) or 'nothing'}",
            hint="Give the weights.pth of a run of NETWORK_TYPE 'diffusion'.",
        )
    return network, {name.split(".", 1)[-1]: weight for name, weight in encoder.items()}


def _gru_layer_name(name: str) -> str:
    """Each GRU layer is a module here: `gru.weight_ih_l1` of the reference becomes `gru.layers.1.weight_ih_l0`."""
    return re.sub(r"^gru\.(\w+)_l(\d+)$", r"gru.layers.\2.\1_l0", name)


def convert_regression_weights(
    state: Mapping[str, Tensor], languages: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Renames the weights of a regression network of the reference.

    Args:
        state: its state dictionary, as `torch.load(..., weights_only=True)` gives it.
        languages: languages of its phoneme heads, in the order of its training.

    Returns:
        The state of our network without the encoder's own weights; and those, named as `transformers` names the weights
        of a `Wav2Vec2Model` (empty where the state holds none).

    Raises:
        UserError: these are not the weights of such a network.
    """
    names = _REGRESSION_NAMES | {
        f"phoneme_regressors.{index}.": f"phonemes.languages.{language}." for index, language in enumerate(languages)
    }
    network: dict[str, Tensor] = {}
    encoder: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, weight in state.items():
        start = next((start for start in names if name.startswith(start)), None)
        if start is not None:
            own_name = names[start] + name.removeprefix(start)
            network[own_name] = (
                weight.squeeze(-1) if own_name.startswith(_TEMPORAL_CONVOLUTIONS) and weight.dim() == 4 else weight
            )
        elif (own := _wav2vec_name(name)) is not None:
            encoder[own] = weight
        else:
            unknown.append(name)
    if not network or unknown:
        raise UserError(
            f"these are not the weights of a regression network: unknown {', '.join(sorted(unknown)[:5]) or 'nothing'}",
            hint="Give the weights.pth of a run of NETWORK_TYPE 'regression', trained with the same "
            "PHONEME_FORCING_LANGS.",
        )
    return network, encoder


def _wav2vec_name(name: str) -> str | None:
    """The name of an encoder's weight in `transformers`, for any name of the encoder; None for other weights."""
    own = name.split(".", 1)[-1]
    start = next((start for start in _WAV2VEC_NAMES if own.startswith(start)), None)
    return None if start is None else _WAV2VEC_NAMES[start] + own.removeprefix(start)


_ENCODER = "encoder."
_WEIGHTS_HINT = "Save the state dictionary alone (named tensors), or copy the file once more."
_ACTORS = "actor_projection.weight"
_MODULE_PREFIX = "network."  # prefix of a regression network's weights in a run


def load_pretrained(network: DiffusionNetwork, path: Path, actors: Sequence[str]) -> None:
    """Loads pretrained weights into a diffusion network.

    Args:
        network: the network, created for `actors`.
        path: `weights.safetensors` of a training run, or `weights.pth` of the reference.
        actors: names of the actors in order.

    Raises:
        UserError: the file is damaged, of other sizes, or was trained with another speech encoder.
    """
    if path.suffix == ".safetensors":
        weights, recorded = _read_run_weights(network.encoder, path, "diffusion")
        before = [str(actor) for actor in recorded["actors"]]
    else:
        weights = _with_encoder(network, *convert_reference_weights(_read_reference_weights(path)))
        before = list(actors)[: weights[_ACTORS].shape[1]]
    columns = [before.index(actor) if actor in before else None for actor in actors]
    same = "emotions, NETWORK_HYPER_PARAMS, TARGET_FPS, DIFFUSION_STEPS and SPEECH_ENCODER"
    _load(network, widen_actors(weights, columns), path, f"the mesh, {same}")
    added = [actor for actor, column in zip(actors, columns, strict=True) if column is None]
    LOGGER.info("starting from %s%s", path, f"; new actors: {', '.join(added)}" if added else "")


def load_pretrained_regression(network: RegressionNetwork, path: Path, languages: Sequence[str]) -> None:
    """Loads pretrained weights into a regression network; implicit emotions are trained from scratch.

    Args:
        network: the network.
        path: `weights.safetensors` of a training run, or `weights.pth` of the reference.
        languages: languages of its phoneme heads, in order.

    Raises:
        UserError: the file is damaged, of other sizes, or was trained with another speech encoder.
    """
    if path.suffix == ".safetensors":
        every, _ = _read_run_weights(network.encoder, path, "regression")
        own = {name: weight for name, weight in every.items() if name.startswith(_MODULE_PREFIX)}
        weights = {name.removeprefix(_MODULE_PREFIX): weight for name, weight in own.items()}
    else:
        weights = _with_encoder(network, *convert_regression_weights(_read_reference_weights(path), languages))
    same = "PCA components, emotions, NETWORK_HYPER_PARAMS, PHONEME_FORCING_LANGS and SPEECH_ENCODER"
    _load(network, weights, path, f"the number of {same}")
    LOGGER.info("starting from %s", path)


def load_pretrained_streaming(network: StreamingNetwork, path: Path, actors: Sequence[str]) -> None:
    """Loads pretrained weights into a streaming network; mean and deviation of the output stay those of its data.

    Args:
        network: the network, created for `actors`.
        path: `weights.safetensors` of a training run.
        actors: names of the actors in order; the embedding of a new one is the mean of the others.

    Raises:
        UserError: the file is damaged, of other sizes, or was trained with another speech encoder.
    """
    weights, recorded = _read_run_weights(network.encoder, path, "streaming")
    before = [str(actor) for actor in recorded["actors"]]
    columns = [before.index(actor) if actor in before else None for actor in actors]
    weights = widen_actors(weights, columns, "actor.weight")
    own = {name: value for name, value in network.state_dict().items() if name in ("mean", "deviation")}
    same = "PCA components, emotions, NETWORK_HYPER_PARAMS, TARGET_FPS and SPEECH_ENCODER"
    _load(network, weights | own, path, f"the number of {same}")
    LOGGER.info("starting from %s", path)


def _read_run_weights(encoder: nn.Module | None, path: Path, kind: str) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """The weights of a training run, and its record of the network."""
    record = path.with_name(NETWORK_FILE)
    if not record.is_file():
        raise UserError(
            f"has no {NETWORK_FILE} beside it, which describes the network",
            path=path,
            hint="Keep it in its run folder.",
        )
    recorded = read_json(record)
    try:
        weights = load_file(path)
        found, recorded_encoder = recorded["network_type"], recorded["encoder"]
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
        check_encoder_record(encoder, recorded_encoder or {}, path)
    return weights, recorded


def _read_reference_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a reference checkpoint."""
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
    """Adds the renamed weights of the encoder; without any, the network keeps its own."""
    if encoder:
        return weights | {
            f"{_ENCODER}model.{_current_weight_norm_name(name)}": tensor for name, tensor in encoder.items()
        }
    return {name: value for name, value in network.state_dict().items() if name.startswith(_ENCODER)} | weights


def _current_weight_norm_name(name: str) -> str:
    # Magnitude and direction of the positional convolution, by their names before torch 2.1.
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
