"""What a network of either type hands to the export: a module to trace, its inputs, and a way to judge the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from audio2face.audio import read_track
from audio2face.errors import UserError
from audio2face.model_folder import DiffusionInfo, NetworkInfo, RegressionInfo
from audio2face.models.diffusion.sampling import WindowSampler
from audio2face.types import Float32Array


@dataclass(frozen=True)
class ExportableGraph:
    """A network as it is exported.

    Attributes:
        module: a copy of the network on the CPU, in evaluation mode; takes and gives the tensors of `info` in order.
        info: names and shapes of inputs and outputs.
        inputs: inputs such as consumers give.
        measure: compares the graph in a file with the module; raises UserError where the module's output is not finite.
    """

    module: nn.Module
    info: NetworkInfo
    inputs: Inputs
    measure: Callable[[Path], Parity]


# Example inputs by name, for a batch, drawn from a generator.
Inputs = Callable[[int, torch.Generator], Mapping[str, Tensor]]


def open_beside_torch(path: Path) -> onnxruntime.InferenceSession:
    """A graph on the CPU, run in turns with torch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # torch's threads work in between
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


LIMIT_MM = 1e-3
DIFFUSION_BATCHES = (1, 2, 3)
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
    batches: tuple[int, ...] = DIFFUSION_BATCHES,
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


LIMIT_SHARE = 1e-5
REGRESSION_BATCHES = (1, 3, 8)
ROUNDS = 3  # batches of noise of each size
SPEECH_WINDOWS = 24


@dataclass(frozen=True)
class RegressionBatchParity:
    """The largest differences at one batch size.

    Attributes:
        batch: batch size.
        skin: of a coefficient of the skin.
        tongue: of a coefficient of the tongue.
        jaw_cm: of a coordinate of a key point of the jaw.
        eyes_degrees: of an angle of an eye.
    """

    batch: int
    skin: float
    tongue: float
    jaw_cm: float
    eyes_degrees: float


@dataclass(frozen=True)
class RegressionParity:
    """How far graph and network agree.

    Attributes:
        noise_windows: windows of noise that were compared, over all batch sizes.
        speech_windows: windows of a recording likewise; 0 where no recording was at hand.
        output_range: from the smallest to the largest value of the network's output over all windows.
        batches: differences by batch size.
        limit_share: of the range, above which the graph is not to be used.
        torch: version of torch.
        onnxruntime: version of onnxruntime.
    """

    noise_windows: int
    speech_windows: int
    output_range: float
    batches: tuple[RegressionBatchParity, ...]
    limit_share: float = LIMIT_SHARE
    torch: str = str(torch.__version__)
    onnxruntime: str = str(onnxruntime.__version__)

    @property
    def largest_share(self) -> float:
        """The largest difference of any value, as a share of the range."""
        largest = max(max(row.skin, row.tongue, row.jaw_cm, row.eyes_degrees) for row in self.batches)
        return largest / self.output_range if self.output_range else largest

    @property
    def is_good(self) -> bool:
        """Whether it is close enough for the graph to be used."""
        return self.largest_share <= self.limit_share

    @property
    def largest(self) -> str:
        """The largest difference, in words."""
        return f"{self.largest_share:.2g} of the output's range"

    @property
    def limit(self) -> str:
        """The largest that is allowed, in words."""
        return f"{self.limit_share:g} of it"

    @property
    def conditions(self) -> str:
        """What was compared, in words."""
        batches = ", ".join(str(row.batch) for row in self.batches)
        windows = f"{self.noise_windows} windows of noise and {self.speech_windows} of speech"
        return f"onnxruntime {self.onnxruntime}, batches of {batches}, {windows}"


def measure_regression_parity(
    module: nn.Module,
    info: RegressionInfo,
    inputs: Inputs,
    path: Path,
    recording: Path | None = None,
    batches: tuple[int, ...] = REGRESSION_BATCHES,
) -> RegressionParity:
    """Runs network and graph on the same windows.

    Args:
        module: the network, on the CPU.
        info: names and shapes of inputs and outputs.
        inputs: makes inputs.
        path: the exported graph.
        recording: speech to compare on, beside noise.
        batches: batch sizes to try.

    Raises:
        UserError: the network's output is not finite, or the recording cannot be read.
    """
    session = open_beside_torch(path)
    speech = np.empty((0, info.buffer_len), np.float32) if recording is None else speech_windows(recording, info)
    lowest, highest, rows = np.inf, -np.inf, []
    for batch in batches:
        apart = np.zeros(info.values, np.float32)
        for window, emotion in _feeds(info, inputs, speech, batch):
            with torch.no_grad():
                expected = module(torch.from_numpy(window), torch.from_numpy(emotion)).numpy()
            found = session.run(None, {"input": window, "emotion": emotion})[0]
            apart = np.maximum(apart, np.abs(found - expected).max(axis=(0, 1)))
            lowest, highest = min(lowest, float(expected.min())), max(highest, float(expected.max()))
        if not np.isfinite(apart).all():
            raise UserError(
                "the network's output is NaN or infinite",
                hint="The training went astray; export an earlier checkpoint.",
            )
        ends = np.cumsum([info.num_shapes_skin, info.num_shapes_tongue, info.jaw_size])
        rows.append(RegressionBatchParity(batch, *(float(part.max()) for part in np.split(apart, ends))))
    return RegressionParity(ROUNDS * sum(batches), len(speech) * len(batches), highest - lowest, tuple(rows))


def speech_windows(recording: Path, info: RegressionInfo) -> Float32Array:
    """Windows spread over a recording, `[windows, samples]`."""
    track = read_track(recording, info.samplerate)
    starts = np.linspace(-info.buffer_ofs, len(track.data) - info.buffer_ofs, SPEECH_WINDOWS).astype(int)
    return np.stack([track.read(start, start + info.buffer_len) for start in starts.tolist()])


def _feeds(
    info: RegressionInfo, inputs: Inputs, speech: Float32Array, batch: int
) -> list[tuple[Float32Array, Float32Array]]:
    """Inputs of the graph: noise, then speech, in batches."""
    generator = torch.Generator().manual_seed(batch)
    drawn = [inputs(batch, generator) for _ in range(ROUNDS)]
    feeds = [(tensors["input"].numpy(), tensors["emotion"].numpy()) for tensors in drawn]
    for first in range(0, len(speech), batch):
        window = speech[first : first + batch, None]
        feeds.append((window, inputs(len(window), generator)["emotion"].numpy()))
    return feeds


# How far graph and network agree. Both kinds tell it in words: `is_good`, `largest`, `limit`, `conditions`.
Parity = DiffusionParity | RegressionParity
