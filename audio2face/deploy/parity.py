"""Parity of an exported graph with the network it was made from: measured on the same inputs, reported in one form.

`ParityCheck` is what a network hands in: how a frame divides into channels, on which windows the two are compared, and
what difference is allowed. `measure_parity` runs both, `ParityReport` goes into `export.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from audio2face.errors import UserError
from audio2face.model_folder import NetworkInfo
from audio2face.types import Float32Array

Unit = Literal["mm", "cm", "degrees", ""]

# Example inputs by name, for a batch, drawn from a generator.
Inputs = Callable[[int, torch.Generator], Mapping[str, Tensor]]


# --- The check -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ParityChannel:
    """A compared channel of a frame.

    Attributes:
        name: "skin", "tongue", "jaw" or "eyes".
        size: number of its values in a frame.
        unit: of its differences in the report; empty for coefficients.
        scale: factor from network output to this unit.
    """

    name: str
    size: int
    unit: Unit = ""
    scale: float = 1.0


@dataclass(frozen=True)
class ParityLimit:
    """The limit of differences.

    Attributes:
        value: the limit itself.
        unit: "mm": for all lengths; "share": for all channels, as a fraction of the range of the output.
    """

    value: float
    unit: Literal["mm", "share"]


@dataclass(frozen=True, kw_only=True)
class ParityCheck:
    """Settings of a comparison of a network and its graph.

    Attributes:
        channels: the channels of a frame, in order.
        limit: the largest accepted difference.
        batches: batch sizes of the check.
        feeds: inputs by name, window after window, for a batch size; drawn from a generator.
        windows: number of windows by kind: consecutive "windows" for each batch size, "noise_windows" and
            "speech_windows" over all batch sizes.
        state: the input that takes the last output of the window before, in torch and in onnxruntime apart; None
            where windows are independent.
    """

    channels: tuple[ParityChannel, ...]
    limit: ParityLimit
    batches: tuple[int, ...]
    feeds: Callable[[int, torch.Generator], Iterator[Mapping[str, Tensor]]]
    windows: Mapping[str, int]
    state: str | None = None


@dataclass(frozen=True)
class ExportableGraph:
    """A network for export.

    Attributes:
        module: a copy of the network on the CPU, in evaluation mode; its inputs and outputs are the tensors of `info`
            in order.
        info: names and shapes of inputs and outputs.
        inputs: makes typical inputs.
        check: settings of the parity check.
    """

    module: nn.Module
    info: NetworkInfo
    inputs: Inputs
    check: ParityCheck


# --- The report -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChannelDifference:
    """The largest difference in one channel.

    Attributes:
        channel: name of the channel; "latents" for the hidden state.
        unit: of the difference; empty for coefficients and latents.
        largest: absolute difference of one value.
    """

    channel: str
    unit: Unit
    largest: float

    @property
    def key(self) -> str:
        """Its key in `export.json`, such as `skin_mm`."""
        return f"{self.channel}_{self.unit}" if self.unit else self.channel


@dataclass(frozen=True)
class BatchParity:
    """The differences at one batch size, over all windows.

    Attributes:
        batch: batch size.
        differences: one per channel.
        motion_mm: the largest displacement of a coordinate of the skin, to compare lengths with; None where the limit
            is a share of the output's range.
    """

    batch: int
    differences: tuple[ChannelDifference, ...]
    motion_mm: float | None = None


_WINDOWS = {
    "windows": "{} consecutive windows",
    "noise_windows": "{} windows of noise",
    "speech_windows": "{} of speech",
}
_UNITS: tuple[Unit, ...] = ("mm", "cm", "degrees")


@dataclass(frozen=True)
class ParityReport:
    """Result of a parity check.

    Attributes:
        windows: number of compared windows by kind, as in `ParityCheck`.
        batches: differences by batch size.
        limit: of differences; a graph above it is rejected.
        output_range: from the smallest to the largest value of the network's output over all windows; None where the
            limit is a length.
        torch: version of torch.
        onnxruntime: version of onnxruntime.
    """

    windows: Mapping[str, int]
    batches: tuple[BatchParity, ...]
    limit: ParityLimit
    output_range: float | None = None
    torch: str = field(default_factory=lambda: str(torch.__version__))
    onnxruntime: str = field(default_factory=lambda: str(onnxruntime.__version__))

    @property
    def largest(self) -> float:
        """The largest difference, in the unit of the limit."""
        rows = [row for batch in self.batches for row in batch.differences]
        if self.limit.unit == "mm":
            return max(row.largest for row in rows if row.unit == "mm")
        largest = max(row.largest for row in rows)
        return largest / self.output_range if self.output_range else largest

    @property
    def is_good(self) -> bool:
        """Whether the differences are within the limit."""
        return self.largest <= self.limit.value

    @property
    def largest_in_words(self) -> str:
        """The largest difference with its unit."""
        return f"{self.largest:.2g} " + ("mm" if self.limit.unit == "mm" else "of the output's range")

    @property
    def limit_in_words(self) -> str:
        """The limit with its unit, after `largest_in_words`."""
        return f"{self.limit.value:g} " + ("mm" if self.limit.unit == "mm" else "of it")

    @property
    def conditions(self) -> str:
        """Description of the comparison."""
        batches = ", ".join(str(row.batch) for row in self.batches)
        windows = " and ".join(_WINDOWS[kind].format(count) for kind, count in self.windows.items())
        return f"onnxruntime {self.onnxruntime}, batches of {batches}, {windows}"

    def as_json(self) -> dict[str, Any]:
        """The report for `export.json`: flat, with one key per difference."""
        return {
            **self.windows,
            **({} if self.output_range is None else {"output_range": self.output_range}),
            "batches": [
                {
                    "batch": row.batch,
                    **{difference.key: difference.largest for difference in row.differences},
                    **({} if row.motion_mm is None else {"motion_mm": row.motion_mm}),
                }
                for row in self.batches
            ],
            f"limit_{self.limit.unit}": self.limit.value,
            "torch": self.torch,
            "onnxruntime": self.onnxruntime,
        }


def unflatten_report(content: Any) -> Any:
    """The fields of a `ParityReport` from what `as_json` gave, for a validator; other values as they are."""
    if not isinstance(content, dict):
        return content
    unit = next((unit for unit in ("mm", "share") if f"limit_{unit}" in content), "mm")
    batches = content.get("batches")
    return {
        "windows": {kind: content[kind] for kind in _WINDOWS if kind in content},
        "batches": [_unflatten_batch(row) for row in batches] if isinstance(batches, list) else batches,
        "limit": {"value": content.get(f"limit_{unit}"), "unit": unit},
        **{name: content.get(name) for name in ("output_range", "torch", "onnxruntime")},
    }


def _unflatten_batch(content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    rows = {key: value for key, value in content.items() if key not in ("batch", "motion_mm")}
    return {
        "batch": content.get("batch"),
        "motion_mm": content.get("motion_mm"),
        "differences": [{**_channel_and_unit(key), "largest": value} for key, value in rows.items()],
    }


def _channel_and_unit(key: str) -> dict[str, str]:
    channel, _, unit = key.rpartition("_")
    return {"channel": channel, "unit": unit} if unit in _UNITS else {"channel": key, "unit": ""}


# --- The measurement ------------------------------------------------------------------------------------------


@dataclass
class _Extremes:
    """What the comparison at one batch size found, value by value of a frame."""

    apart: Float32Array
    lowest: Float32Array
    highest: Float32Array
    state_apart: float = 0.0

    @classmethod
    def empty(cls, values: int) -> _Extremes:
        zero, infinity = np.zeros(values, np.float32), np.full(values, np.inf, np.float32)
        return cls(apart=zero, lowest=infinity, highest=-infinity)

    def add(self, expected: Float32Array, found: Float32Array) -> None:
        """Takes in the faces `[batch, frames, values]` of one window."""
        self.apart = np.maximum(self.apart, np.abs(found - expected).max(axis=(0, 1)))
        self.lowest = np.minimum(self.lowest, expected.min(axis=(0, 1)))
        self.highest = np.maximum(self.highest, expected.max(axis=(0, 1)))


def measure_parity(graph: ExportableGraph, path: Path) -> ParityReport:
    """Runs the network and the graph in a file on the same windows.

    Args:
        graph: the network, and how the two are compared.
        path: the exported graph.

    Raises:
        UserError: the network's output is not finite.
    """
    session, check = _open_beside_torch(path), graph.check
    found = {batch: _compare(graph, session, batch) for batch in check.batches}
    output_range = None
    if check.limit.unit == "share":
        lowest, highest = (np.stack([getattr(row, name) for row in found.values()]) for name in ("lowest", "highest"))
        output_range = float(highest.max()) - float(lowest.min())
    batches = tuple(_report_batch(check, batch, extremes) for batch, extremes in found.items())
    return ParityReport(check.windows, batches, check.limit, output_range)


def _open_beside_torch(path: Path) -> onnxruntime.InferenceSession:
    """A graph on the CPU, run in turns with torch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # torch's threads work in between
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _compare(graph: ExportableGraph, session: onnxruntime.InferenceSession, batch: int) -> _Extremes:
    """Runs both on all windows of a batch size, each from its own state.

    Raises:
        UserError: the network's output is not finite.
    """
    extremes, state = _Extremes.empty(graph.info.values), graph.check.state
    carried: Mapping[str, Tensor] = {}
    carried_in_graph: Mapping[str, Float32Array] = {}
    for inputs in graph.check.feeds(batch, torch.Generator().manual_seed(batch)):
        with torch.no_grad():
            outputs = graph.module(*({**inputs, **carried}[tensor.name] for tensor in graph.info.inputs))
        expected = [tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple) else (outputs,))]
        feed = {name: tensor.numpy() for name, tensor in inputs.items()}
        found = session.run(None, {**feed, **carried_in_graph})
        extremes.add(expected[0], found[0])
        if state is not None:
            carried, carried_in_graph = {state: outputs[-1]}, {state: found[-1]}
            extremes.state_apart = max(extremes.state_apart, float(np.abs(found[-1] - expected[-1]).max()))
    if not np.isfinite(extremes.apart).all():
        raise UserError(
            "the network's output is NaN or infinite", hint="The training diverged; export an earlier checkpoint."
        )
    return extremes


def _report_batch(check: ParityCheck, batch: int, extremes: _Extremes) -> BatchParity:
    ends = np.cumsum([channel.size for channel in check.channels])[:-1]
    parts = zip(check.channels, np.split(extremes.apart, ends), strict=True)
    rows = [ChannelDifference(channel.name, channel.unit, channel.scale * float(p.max())) for channel, p in parts]
    if check.state is not None:
        rows.append(ChannelDifference("latents", "", extremes.state_apart))
    if check.limit.unit == "share":
        return BatchParity(batch, tuple(rows))
    skin = check.channels[0]
    moved = np.maximum(np.abs(extremes.lowest[: skin.size]), np.abs(extremes.highest[: skin.size]))
    return BatchParity(batch, tuple(rows), skin.scale * float(moved.max()))
