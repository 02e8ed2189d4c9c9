"""Names of the reference framework's weights, so that networks trained with it load here. Knows names only."""

from __future__ import annotations

from collections.abc import Mapping

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
    "gru.": "gru.",
    "final_layer_skin.": "heads.skin.",
    "final_layer_tongue.": "heads.tongue.",
    "final_layer_jaw.": "heads.jaw.",
    "final_layer_eye.": "heads.eye.",
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
            network[_DIFFUSION_NAMES[start] + name.removeprefix(start)] = weight
    # Whatever the encoder is called there, it is one module: all its names begin with the same word.
    holders = {name.split(".")[0] for name in rest}
    if not network or len(holders) > 1:
        raise UserError(
            f"these are not the weights of a diffusion network: unknown {', '.join(sorted(holders)[:5]) or 'nothing'}",
            hint="Give the weights.pth of a run of NETWORK_TYPE 'diffusion'.",
        )
    return network, {name.split(".", 1)[-1]: weight for name, weight in rest.items()}
