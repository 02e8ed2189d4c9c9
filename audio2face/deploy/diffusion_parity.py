"""Does the exported graph compute what the diffusion network computes? Ten windows in a row, at several batch sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from audio2face.deploy.comparison import Inputs, open_beside_torch
from audio2face.errors import UserError
from audio2face.model_folder import DiffusionInfo
from audio2face.networks.diffusion_sampling import WindowSampler

LIMIT_MM = 1e-3
BATCHES = (1, 2, 3)
WINDOWS = 10
_MM_PER_CM = 10.0


@dataclass(frozen=True)
class DiffusionBatchParity:
    """The largest differences at one batch size, over all windows.

    Attributes:
        batch: batch size.
        skin_mm: of a coordinate of a vertex of the skin.
        tongue_mm: likewise of the tongue.
        jaw_mm: likewise of a key point of the jaw.
        eyes_degrees: of an angle of an eye.
        latents: of a value of the state that goes from window to window.
        motion_mm: the largest displacement of a coordinate of the skin, to compare with.
    """

    batch: int
    skin_mm: float
    tongue_mm: float
    jaw_mm: float
    eyes_degrees: float
    latents: float
    motion_mm: float


@dataclass(frozen=True)
class DiffusionParity:
    """How far graph and network agree.

    Attributes:
        windows: windows in a row, each from the state that the one before left, in torch and in onnxruntime apart.
        batches: differences by batch size.
        limit_mm: above which the graph is not to be used.
        torch: version of torch.
        onnxruntime: version of onnxruntime.
    """

    windows: int
    batches: tuple[DiffusionBatchParity, ...]
    limit_mm: float = LIMIT_MM
    torch: str = str(torch.__version__)
    onnxruntime: str = str(onnxruntime.__version__)

    @property
    def largest_mm(self) -> float:
        """The largest difference that is a length."""
        return max(max(batch.skin_mm, batch.tongue_mm, batch.jaw_mm) for batch in self.batches)

    @property
    def is_good(self) -> bool:
        """Whether it is close enough for the graph to be used."""
        return self.largest_mm <= self.limit_mm

    @property
    def largest(self) -> str:
        """The largest difference, in words."""
        return f"{self.largest_mm:.2g} mm"

    @property
    def limit(self) -> str:
        """The largest that is allowed, in words."""
        return f"{self.limit_mm:g} mm"

    @property
    def conditions(self) -> str:
        """What was compared, in words."""
        batches = ", ".join(str(row.batch) for row in self.batches)
        return f"onnxruntime {self.onnxruntime}, batches of {batches}, {self.windows} windows in a row"


def measure_diffusion_parity(
    sampler: WindowSampler,
    info: DiffusionInfo,
    inputs: Inputs,
    path: Path,
    batches: tuple[int, ...] = BATCHES,
    windows: int = WINDOWS,
) -> DiffusionParity:
    """Runs network and graph on the same windows.

    Args:
        sampler: the network, on the CPU.
        info: names and shapes of inputs and outputs.
        inputs: makes inputs.
        path: the exported graph.
        batches: batch sizes to try.
        windows: windows in a row.

    Raises:
        UserError: the network's output is not finite.
    """
    session = open_beside_torch(path)
    return DiffusionParity(
        windows, tuple(_measure(sampler, info, inputs, session, batch, windows) for batch in batches)
    )


def _measure(
    sampler: WindowSampler,
    info: DiffusionInfo,
    make_inputs: Inputs,
    session: onnxruntime.InferenceSession,
    batch: int,
    windows: int,
) -> DiffusionBatchParity:
    generator = torch.Generator().manual_seed(batch)
    inputs = dict(make_inputs(batch, generator))
    latents = inputs["input_latents"]
    feed = {name: tensor.numpy() for name, tensor in inputs.items()}
    apart = np.zeros(info.values, np.float32)  # of each value of a frame
    state_apart, motion = 0.0, 0.0
    for _ in range(windows):
        inputs["window"] = 0.1 * torch.randn(inputs["window"].shape, generator=generator)
        feed["window"] = inputs["window"].numpy()
        with torch.no_grad():
            expected, latents = sampler(**inputs | {"input_latents": latents})
        found, feed["input_latents"] = session.run(None, feed)
        apart = np.maximum(apart, np.abs(found - expected.numpy()).max(axis=(0, 1)))
        state_apart = max(state_apart, float(np.abs(feed["input_latents"] - latents.numpy()).max()))
        motion = max(motion, float(expected[..., : info.skin_size].abs().max()))
    if not np.isfinite(apart).all():
        raise UserError(
            "the network's output is NaN or infinite", hint="The training went astray; export an earlier checkpoint."
        )
    ends = np.cumsum([info.skin_size, info.tongue_size, info.jaw_size])
    skin, tongue, jaw, eyes = (float(part.max()) for part in np.split(apart, ends))
    return DiffusionBatchParity(
        batch=batch,
        skin_mm=_MM_PER_CM * skin,
        tongue_mm=_MM_PER_CM * tongue,
        jaw_mm=_MM_PER_CM * jaw,
        eyes_degrees=eyes,
        latents=state_apart,
        motion_mm=_MM_PER_CM * motion,
    )
