"""The small diffusion network that the reference vectors were made with, built from a vector file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audio2face.models.diffusion.loss import ActorGeometry, DiffusionLossWeights
from audio2face.models.diffusion.network import ActorConstants, DiffusionNetwork, DiffusionSettings
from audio2face.models.windows import WindowSchedule
from audio2face.training.pretrained import convert_reference_weights

WINDOWS = {
    fps: WindowSchedule.divided(
        window=16000, left_context=left, hop=hop, right_context=right, padding=16000, samplerate=16000
    )
    for fps, (left, hop, right) in {60: (15, 30, 15), 30: (7, 15, 8)}.items()
}
EVERY_LOSS = DiffusionLossWeights(
    tongue=0.1,
    jaw=0.7,
    lip_distance=0.02,
    lip_distance_exponent=2.0,
    velocity=0.4,
    upper_face_smoothness=3.0,
    lip_position=0.1,
)


def settings(fps: int = 60, actors: int = 2, **changes: int) -> DiffusionSettings:
    values: dict[str, int] = {
        "skin_size": 90,
        "tongue_size": 30,
        "jaw_size": 15,
        "eye_size": 4,
        "emotions": 2,
        "encoder_width": 24,
        "diffusion_steps": 1000,
        "feature_dim": 16,
        "tongue_latent_dim": 10,
        "jaw_latent_dim": 15,
        "eye_latent_dim": 4,
        "actor_embedding_dim": 5,
        "emo_embedding_dim": 6,
        "gru_feature_dim": 16,
        "num_gru_layers": 2,
        **changes,
    }
    return DiffusionSettings(actors=actors, fps=fps, encoder_step=0.02, encoder_first_step=None, **values)


class Vectors:
    """A vector file, and the network in it."""

    def __init__(self, folder: Path, fps: int) -> None:
        with np.load(folder / "networks" / f"diffusion_forward_{fps}fps.npz", allow_pickle=False) as arrays:
            self.arrays = dict(arrays)
        self.fps = fps
        self.window = WINDOWS[fps]

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def weights(self) -> dict[str, Tensor]:
        return {name.removeprefix("w:"): self[name] for name in self.arrays if name.startswith("w:")}

    def network(self) -> DiffusionNetwork:
        scale = torch.stack([self[f"scale_{part}"] for part in ("skin", "tongue", "jaw", "eye")], dim=1)
        network = DiffusionNetwork(settings(self.fps), ActorConstants(self["mean_geometry"], scale))
        weights, encoder = convert_reference_weights(self.weights())
        assert not encoder
        network.load_state_dict(weights)
        return network.eval()


def random_network(actors: int = 2, **changes: int) -> DiffusionNetwork:
    """A network of random weights, whose heads are not zero."""
    torch.manual_seed(0)
    chosen = settings(actors=actors, **changes)
    constants = ActorConstants(torch.randn(actors, chosen.sizes.total), 1 + torch.rand(actors, 4))
    network = DiffusionNetwork(chosen, constants)
    for head in (network.heads.skin, network.heads.tongue, network.heads.jaw, network.heads.eye):
        torch.nn.init.normal_(head[2].weight, std=0.1)
    return network.eval()


def random_face(seed: int) -> ActorGeometry:
    """A face of the network's 30 skin vertices, with lips and lids."""
    torch.manual_seed(seed)
    components = torch.linalg.qr(torch.randn(90, 7))[0].T.reshape(7, 30, 3)
    lips, lids = torch.tensor([[1, 2, 3], [11, 12, 13]]), torch.tensor([21, 22])
    return ActorGeometry(1.0 + seed, torch.randn(3), torch.randn(30, 3), components, lips, lids)
