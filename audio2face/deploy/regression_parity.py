"""Does the exported graph compute what the regression network computes? On noise and speech, in several batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import nn

from audio2face.audio import read_track
from audio2face.deploy.comparison import Inputs, open_beside_torch
from audio2face.errors import UserError
from audio2face.model_folder import RegressionInfo

LIMIT = 1e-5
BATCHES = (1, 3, 8)
ROUNDS = 3  # batches of noise of each size
SPEECH_WINDOWS = 24

Float32Array = npt.NDArray[np.float32]


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
    limit_share: float = LIMIT
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
    batches: tuple[int, ...] = BATCHES,
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
