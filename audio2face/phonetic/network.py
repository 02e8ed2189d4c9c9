"""The causal encoder in NumPy: input frames in, phonetic scores and viseme channels out, 50 steps per second.

Step k describes the time (k + 0.5) / 50 s and depends on frames 2 k - 1 to 2 k + 4: until `LOOKAHEAD_SECONDS` later.
A convolution with stride 2 makes steps of frames; gated dilated convolutions that look back follow, each with a
residual connection; a narrow layer, the bottleneck, feeds all outputs.

Source of the gate: Dauphin et al., Language Modeling with Gated Convolutional Networks (2017). The weights lie beside
this module as 16-bit floats, in the format of https://github.com/huggingface/safetensors; reading it takes no package.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from audio2face.audio.mel import MEL_BANDS, MEL_HOP, MEL_RATE
from audio2face.errors import FileFormatError, reason_of
from audio2face.phonetic.front_end import SILENT_FRAME
from audio2face.types import Float32Array

STEP_SAMPLES = 2 * MEL_HOP
FIRST_SAMPLE = STEP_SAMPLES // 2  # that the first step describes
STEM_TAPS = 6  # frames
AHEAD_FRAMES = 4  # after the first frame of a step
RECEPTIVE_SAMPLES = (AHEAD_FRAMES + 1) * MEL_HOP  # from a step's first sample to the last that it depends on
LOOKAHEAD_SECONDS = (RECEPTIVE_SAMPLES - FIRST_SAMPLE) / MEL_RATE
DILATIONS = (1, 2, 4, 8, 16)
TAPS = 3
_EPSILON = 1e-5  # of the normalisation


@dataclass(frozen=True)
class Encoded:
    """Output of the network: scores of the classes `[steps, classes]`, viseme channels `[steps, channels]`."""

    scores: Float32Array
    channels: Float32Array


@dataclass
class NetworkState:
    """What the network remembers between chunks: frames before the next step, and the inputs of each convolution."""

    frames: Float32Array
    past: list[Float32Array] = field(default_factory=list)


class PhoneticNetwork:
    """The encoder: `advance` computes the causal one in pieces, `encode` the bidirectional one of a recording.

    Args:
        weights: of `read_weights`: the state dict of the network for training.
    """

    def __init__(self, weights: Mapping[str, Float32Array]) -> None:
        self._stem = _Product(_taps(weights["stem.weight"]), weights["stem.bias"])
        self._width = len(weights["stem.bias"])
        self._layers = [
            (
                _Norm(weights[f"layers.{index}.norm.weight"], weights[f"layers.{index}.norm.bias"]),
                _Product(_taps(weights[f"layers.{index}.conv.weight"]), weights[f"layers.{index}.conv.bias"]),
                dilation,
            )
            for index, dilation in enumerate(DILATIONS)
        ]
        self._norm = _Norm(weights["norm.weight"], weights["norm.bias"])
        self._bottleneck, self._scores, self._channels = (
            _Product(np.ascontiguousarray(weights[f"{name}.weight"].T), weights[f"{name}.bias"])
            for name in ("bottleneck", "scores", "channels")
        )

    def start(self) -> NetworkState:
        """The state before a recording, in which there was silence."""
        past = [np.zeros((dilation * (TAPS - 1), self._width), np.float32) for _, _, dilation in self._layers]
        return NetworkState(np.full((1, MEL_BANDS), SILENT_FRAME, np.float32), past)

    def advance(self, state: NetworkState, frames: Float32Array) -> Encoded:
        """Computes the steps that further frames `[frames, 80]` complete, and updates the state."""
        padded = np.concatenate([state.frames, frames])
        count = max((len(padded) - STEM_TAPS) // 2 + 1, 0)
        state.frames = padded[2 * count :]
        if not count:
            return Encoded(
                *(np.zeros((0, len(product.bias)), np.float32) for product in (self._scores, self._channels))
            )
        hidden = self._first(padded, count)
        for index, (norm, conv, dilation) in enumerate(self._layers):
            inputs = np.concatenate([state.past[index], norm(hidden)])
            state.past[index] = inputs[count:]
            hidden = hidden + self._gated(inputs, conv, dilation, count)
        return self._outputs(hidden)

    def encode(self, frames: Float32Array) -> Encoded:
        """Computes the steps of a whole recording, `[2 steps + 4, 80]`, with layers that have context on both sides."""
        padded = np.concatenate([self.start().frames, frames])
        count = max((len(padded) - STEM_TAPS) // 2 + 1, 0)
        if not count:
            return self.advance(self.start(), frames)
        hidden = self._first(padded, count)
        for norm, conv, dilation in self._layers:
            reach = dilation * (TAPS - 1) // 2
            inputs = np.pad(norm(hidden), ((reach, reach), (0, 0)))
            hidden = hidden + self._gated(inputs, conv, dilation, count)
        return self._outputs(hidden)

    def _first(self, padded: Float32Array, count: int) -> Float32Array:
        """The steps `[count, width]` of frames, before the layers."""
        hidden = self._stem(_strided(padded, STEM_TAPS, 2, count))
        hidden *= _sigmoid(hidden)
        return hidden

    def _gated(self, inputs: Float32Array, conv: _Product, dilation: int, count: int) -> Float32Array:
        """What a layer adds, `[count, width]`."""
        taps = [inputs[tap * dilation : tap * dilation + count] for tap in range(TAPS)]
        both = conv(np.concatenate(taps, axis=1))
        added: Float32Array = both[:, : self._width] * _sigmoid(both[:, self._width :])
        return added

    def _outputs(self, hidden: Float32Array) -> Encoded:
        narrow = np.tanh(self._bottleneck(self._norm(hidden)))
        return Encoded(self._scores(narrow), self._channels(narrow))


@cache
def bidirectional_network() -> PhoneticNetwork:
    """The network for recordings, whose `encode` has context on both sides, with the weights of the package.

    Raises:
        FileFormatError: the weights cannot be read.
    """
    return PhoneticNetwork(read_weights(weights_path("bidirectional")))


@cache
def causal_network() -> PhoneticNetwork:
    """The network with the weights of the package.

    Raises:
        FileFormatError: the weights cannot be read.
    """
    return PhoneticNetwork(read_weights(weights_path("causal")))


@dataclass(frozen=True)
class _Product:
    """A linear map: `[rows, inputs]` to `[rows, outputs]`."""

    weight: Float32Array  # [inputs, outputs]
    bias: Float32Array

    def __call__(self, rows: Float32Array) -> Float32Array:
        product: Float32Array = rows @ self.weight
        product += self.bias
        return product


@dataclass(frozen=True)
class _Norm:
    """Layer normalisation of `[rows, features]`."""

    weight: Float32Array
    bias: Float32Array

    def __call__(self, rows: Float32Array) -> Float32Array:
        centred = rows - rows.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", centred, centred)[:, None] / np.float32(rows.shape[1])
        normalised: Float32Array = centred / np.sqrt(variance + np.float32(_EPSILON))
        normalised *= self.weight
        normalised += self.bias
        return normalised


def _taps(weight: Float32Array) -> Float32Array:
    """The kernel `[outputs, inputs, taps]` of a convolution as a matrix `[taps * inputs, outputs]`."""
    return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, weight.shape[0]))


def _strided(rows: Float32Array, taps: int, stride: int, count: int) -> Float32Array:
    """Row k is rows `stride * k` to `stride * k + taps - 1`, one behind another."""
    return np.concatenate([rows[tap : tap + stride * (count - 1) + 1 : stride] for tap in range(taps)], axis=1)


def _sigmoid(values: Float32Array) -> Float32Array:
    """1 / (1 + exp(-x)), without overflow."""
    half: Float32Array = np.tanh(np.float32(0.5) * values)
    half *= np.float32(0.5)
    half += np.float32(0.5)
    return half


FILES = {"causal": "a2f_phonetic.safetensors", "bidirectional": "a2f_phonetic_bidirectional.safetensors"}
_TYPES = {"F16": "<f2", "F32": "<f4"}


def weights_path(direction: str = "causal") -> Path:
    """The file of the causal or the bidirectional encoder."""
    return Path(__file__).with_name(FILES[direction])


def read_weights(path: Path) -> dict[str, Float32Array]:
    """Reads all tensors as float32.

    Raises:
        FileFormatError: the file cannot be read, or is damaged.
    """
    try:
        content = path.read_bytes()
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length])
        tensors = {}
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = (8 + length + offset for offset in entry["data_offsets"])
                values = np.frombuffer(content[start:end], _TYPES[entry["dtype"]])
                tensors[name] = values.astype(np.float32).reshape(entry["shape"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise FileFormatError(
            f"cannot be read as the weights of a speech encoder: {reason_of(error)}",
            path=path,
            hint="Install the package again.",
        ) from error
    return tensors
