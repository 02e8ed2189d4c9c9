"""Small diffusion networks with speech encoders, all of random weights, and how they are exported."""

from __future__ import annotations

from typing import Any

import torch

from audio2face.deploy.diffusion import DiffusionPlan
from audio2face.deploy.plan import SamplerSettings
from audio2face.models import encoders
from audio2face.models.diffusion.network import ActorConstants, DiffusionNetwork, DiffusionSettings
from audio2face.models.windows import WindowSchedule

TINY_HUBERT = {
    "config": {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "conv_dim": [8] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    }
}
OPTIONS: dict[str, dict[str, Any]] = {"hubert-base": TINY_HUBERT, "logmel": {"width": 24}, "hama": {}}


def settings(encoder: encoders.SpeechEncoder, fps: float = 60.0, **changes: int) -> DiffusionSettings:
    alignment = encoder.info.frame_alignment(fps)
    sizes: dict[str, int] = {"skin_size": 90, "tongue_size": 30, "jaw_size": 15, "eye_size": 4, "actors": 2}
    sizes |= {"emotions": 2, "diffusion_steps": 1000, "feature_dim": 16, "tongue_latent_dim": 10, "jaw_latent_dim": 15}
    sizes |= {"eye_latent_dim": 4, "actor_embedding_dim": 5, "emo_embedding_dim": 6, "gru_feature_dim": 16}
    return DiffusionSettings(
        fps=fps,
        encoder_width=encoder.info.width,
        encoder_step=alignment.step,
        encoder_first_step=alignment.first_step,
        num_gru_layers=2,
        **sizes | changes,
    )


def network(name: str = "logmel", fps: float = 60.0, **changes: int) -> DiffusionNetwork:
    """A network whose heads are not zero, so that its motion is that of a face: some centimetres."""
    torch.manual_seed(0)
    encoder = encoders.build(name, OPTIONS[name])
    chosen = settings(encoder, fps, **changes)
    constants = ActorConstants(torch.randn(chosen.actors, chosen.sizes.total), 5 + 5 * torch.rand(chosen.actors, 4))
    made = DiffusionNetwork(chosen, constants, encoder)
    for head in (made.heads.skin, made.heads.tongue, made.heads.jaw, made.heads.eye):
        torch.nn.init.normal_(head[2].weight, std=0.1)
    return made.eval()


def windows(left_context: int, hop: int, right_context: int) -> WindowSchedule:
    return WindowSchedule.divided(
        window=16000,
        left_context=left_context,
        hop=hop,
        right_context=right_context,
        padding=16000,
        samplerate=16000,
    )


WINDOWS_60, WINDOWS_30 = windows(15, 30, 15), windows(7, 15, 8)


def plan(
    of: DiffusionNetwork, respacing: str = "2", windows: WindowSchedule = WINDOWS_60, has_emotions: bool = True
) -> DiffusionPlan:
    return DiffusionPlan(
        version="0.1",
        network=of.settings,
        actors=("ada", "ben")[: of.settings.actors],
        emotions=("joy", "anger")[: of.settings.emotions],
        has_emotions=has_emotions,
        default_emotion=(0.0,) * of.settings.emotions,
        sampling=SamplerSettings(noise_schedule="cosine", respacing=respacing),
        windows=windows,
        padding_right=16000,
        resampler="soxr",
    )
