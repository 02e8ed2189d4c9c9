"""Names of the reference framework's weights, so that networks trained with it load here. Knows names only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from audio2face.errors import UserError

# Start of a name there -> start of the name in `diffusion_rnn.Network`.
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
    "gru.": "gru.",  # and see `_layer_of_gru`
    "final_layer_skin.": "heads.skin.",
    "final_layer_tongue.": "heads.tongue.",
    "final_layer_jaw.": "heads.jaw.",
    "final_layer_eye.": "heads.eye.",
}

# The same for `regression.RegressionNetwork`. The axes over which a layer does not reach have the length 1 there.
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
_OVER_TIME = ("time.layers.", "phonemes.layers.")  # convolutions over time, which have a fourth axis there
# Start of a name in torchaudio's wav2vec 2.0 -> start of the name in that of `transformers`.
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
    rest: dict[str, Tensor] = {}
    for name, weight in state.items():
        start = next((start for start in _DIFFUSION_NAMES if name.startswith(start)), None)
        if start is None:
            rest[name] = weight
        else:
            network[_layer_of_gru(_DIFFUSION_NAMES[start] + name.removeprefix(start))] = weight
    # Whatever the encoder is called there, it is one module: all its names begin with the same word.
    holders = {name.split(".")[0] for name in rest}
    if not network or len(holders) > 1:
        raise UserError(
            f"these are not the weights of a diffusion network: unknown {', '.join(sorted(holders)[:5]) or 'nothing'}",
            hint="Give the weights.pth of a run of NETWORK_TYPE 'diffusion'.",
        )
    return network, {name.split(".", 1)[-1]: weight for name, weight in rest.items()}


def _layer_of_gru(name: str) -> str:
    """Layers that are one module there are a module each here: `gru.weight_ih_l1` is `gru.layers.1.weight_ih_l0`."""
    return re.sub(r"^gru\.(\w+)_l(\d+)$", r"gru.layers.\2.\1_l0", name)


def convert_regression_weights(
    state: Mapping[str, Tensor], languages: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Renames the weights of a regression network of the reference.

    Args:
        state: its state dictionary, as `torch.load(..., weights_only=True)` gives it.
        languages: whose phonemes it names, in the order in which it was trained with them.

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
            ours = names[start] + name.removeprefix(start)
            network[ours] = weight.squeeze(-1) if ours.startswith(_OVER_TIME) and weight.dim() == 4 else weight
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
    """The name of an encoder's weight in `transformers`, whatever the encoder itself is called; None: it is none."""
    own = name.split(".", 1)[-1]
    start = next((start for start in _WAV2VEC_NAMES if own.startswith(start)), None)
    return None if start is None else _WAV2VEC_NAMES[start] + own.removeprefix(start)
