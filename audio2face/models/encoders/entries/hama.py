"""hama: a small phoneme recogniser whose weights come in a Python package, so it works offline.

A conformer of 2.0 million parameters for English and Korean. Its hidden layers serve as features; its phoneme outputs
are isolated peaks 40 to 60 ms late and are omitted.

Source of the blocks: Gulati et al., Conformer: Convolution-augmented Transformer for Speech Recognition (2020); here
without positions in the attention.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.audio.mel import MEL_BANDS, MEL_HOP
from audio2face.models.encoders.base import (
    SAMPLE_RATE,
    Combination,
    EncoderInfo,
    MelPower,
    SpeechEncoder,
    build_layer_combination,
    select_layers,
)
from audio2face.models.encoders.registry import EncoderSpec, Pretrained
from audio2face.models.encoders.weights import PackagedFile

NAME = "hama"
SOURCE = PackagedFile(
    requirement="hama==1.7.0",
    module="hama",
    path="assets/asr_waveform.hama",
    sha256="a9fcfe73e179ca48e399cd76a90a6b3e1887bf5037ecc52b778d13a149563328",
    install="hama==1.7.0",
)
FEATURES, HEADS, BLOCKS, TAPS = 144, 4, 4, 31
LAYERS = BLOCKS + 1  # layer 0 is the input of the first block
_LONGEST_SECONDS = 30  # the limit of the package's own engine


@dataclass(frozen=True)
class HamaOptions:
    """The options of this encoder.

    Attributes:
        combine: how layers are combined: `"weighted"`, a learned mean of 144 features, or `"concat"`, 720 features,
            from which a linear layer predicts speech slightly better.
        fine_tune: trains the network; otherwise only the weights of its layers are trained.
        layers: the layers to use, from 0, the input of the first block, to 4; empty: all. Layer 2 alone predicts lips
            best (`docs/quality.md`).
    """

    combine: Combination = "weighted"
    fine_tune: bool = False
    layers: tuple[int, ...] = ()


class HamaFeedForward(nn.Module):
    """Half-step feed-forward layer with a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(FEATURES)
        self.fc1 = nn.Linear(FEATURES, 4 * FEATURES)
        self.fc2 = nn.Linear(4 * FEATURES, FEATURES)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[batch, steps, features]`, in and out."""
        step: Tensor = self.fc2(functional.silu(self.fc1(self.norm(hidden))))
        return hidden + 0.5 * step


class HamaAttention(nn.Module):
    """Self-attention over all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(FEATURES)
        self.qkv = nn.Linear(FEATURES, 3 * FEATURES)
        self.out = nn.Linear(FEATURES, FEATURES)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[batch, steps, features]`, in and out."""
        query, key, value = (
            part.unflatten(-1, (HEADS, FEATURES // HEADS)).transpose(1, 2)
            for part in self.qkv(self.norm(hidden)).chunk(3, dim=-1)
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        step: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return hidden + step


class Convolution(nn.Module):
    """Depthwise convolution over 31 steps with a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(FEATURES)
        self.pointwise1 = nn.Conv1d(FEATURES, 2 * FEATURES, 1)
        self.depthwise = nn.Conv1d(FEATURES, FEATURES, TAPS, padding=TAPS // 2, groups=FEATURES)
        self.pointwise2 = nn.Conv1d(FEATURES, FEATURES, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[batch, steps, features]`, in and out."""
        gated = functional.glu(self.pointwise1(self.norm(hidden).transpose(1, 2)), dim=1)
        step: Tensor = self.pointwise2(functional.silu(self.depthwise(gated)))
        return hidden + step.transpose(1, 2)


class HamaBlock(nn.Module):
    """One conformer block."""

    def __init__(self) -> None:
        super().__init__()
        self.ffn1 = HamaFeedForward()
        self.attention = HamaAttention()
        self.conv = Convolution()
        self.ffn2 = HamaFeedForward()
        self.norm = nn.LayerNorm(FEATURES)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[batch, steps, features]`, in and out."""
        mixed: Tensor = self.norm(self.ffn2(self.conv(self.attention(self.ffn1(hidden)))))
        return mixed


class HamaNetwork(nn.Module):
    """Computes the selected of five hidden layers; blocks after the last selected one are omitted."""

    def __init__(self, layers: Sequence[int] = range(LAYERS)) -> None:
        super().__init__()
        self._layers = tuple(layers)
        self.mel = MelPower()
        self.stem = nn.Conv1d(MEL_BANDS, FEATURES, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(HamaBlock() for _ in range(max(layers)))

    def forward(self, audio: Tensor) -> Tensor:
        """Maps `[batch, samples]` to `[layers, batch, steps, features]`."""
        layers = [functional.gelu(self.stem(self.mel(audio))).transpose(1, 2)]
        for block in self.blocks:
            layers.append(block(layers[-1]))
        return torch.stack([layers[index] for index in self._layers])


class HamaEncoder(SpeechEncoder):
    """The hama network with a combination of its layers."""

    def __init__(self, options: HamaOptions, weights_sha256: str | None = None) -> None:
        layers = select_layers(options.layers, LAYERS)
        combine, width = build_layer_combination(options.combine, len(layers), FEATURES)
        info = EncoderInfo(
            name=NAME,
            width=width,
            layers=len(layers),
            window_samples=0,
            step_samples=2 * MEL_HOP,
            first_sample=0,
            longest_samples=_LONGEST_SECONDS * SAMPLE_RATE,
            alignment="times",
            frozen=() if options.fine_tune else ("network",),
            licence="Apache-2.0 by the package's metadata; the repository it names carries an MIT licence; the "
            "package itself carries no licence text",
            source=f"{SOURCE.requirement}, file {Path(SOURCE.path).name}, by Seongmin Park, https://hamalnp.org",
            weights_sha256=weights_sha256,
        )
        super().__init__(info, asdict(options), combine)
        self.network = HamaNetwork(layers)
        self.freeze()

    def encode_window(self, audio: Tensor) -> Tensor:
        """Computes the hidden layers `[layers, batch, steps, features]` of one window."""
        layers: Tensor = self.network(audio)
        return layers


def load(options: HamaOptions, path: Path) -> SpeechEncoder:
    """Makes the encoder with the package's weights."""
    tensors = read_tensors(SOURCE.verify(path))
    encoder = HamaEncoder(options, SOURCE.sha256)
    state = network_state(tensors)
    encoder.network.load_state_dict({name: state[name] for name in encoder.network.state_dict()})
    return encoder


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads all tensors of a `.hama` file whose hash has been checked, as float32.

    Little-endian: "HAMAPK", two bytes of version, u32 count; per tensor u16 length of its name, the name, u8 type
    (0 float32, 1 float16), u8 rank, u32 sizes, u64 offset, u64 bytes. Offsets count from the first multiple of 16
    after this table.
    """
    content = path.read_bytes()
    (count,) = struct.unpack_from("<I", content, 8)
    offset_in_file, table = 12, []
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, offset_in_file)
        name = content[offset_in_file + 2 : offset_in_file + 2 + length].decode()
        offset_in_file += 2 + length
        kind, rank = content[offset_in_file], content[offset_in_file + 1]
        sizes = struct.unpack_from(f"<{rank}I", content, offset_in_file + 2)
        offset, size = struct.unpack_from("<QQ", content, offset_in_file + 2 + 4 * rank)
        offset_in_file += 2 + 4 * rank + 16
        table.append((name, "<f2" if kind else "<f4", sizes, offset, size))
    begin, tensors = -(-offset_in_file // 16) * 16, {}
    for name, kind_code, sizes, offset, size in table:
        values = np.frombuffer(content[begin + offset : begin + offset + size], kind_code)
        tensors[name] = torch.from_numpy(values.astype(np.float32).reshape(sizes))
    return tensors


def network_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Converts the file's tensors to the state dict of `HamaNetwork`.

    Matrix products and merged convolutions have no names in the file and are listed in the order of their use.
    """
    convolutions = iter([tensor for name, tensor in tensors.items() if name.startswith("onnx::Conv_")])
    products = iter([tensor for name, tensor in tensors.items() if name.startswith("onnx::MatMul_")])
    state = {
        "mel.kernels": torch.cat([tensors["stft_real_kernel"], tensors["stft_imag_kernel"]]),
        "mel.bands": tensors["mel_fb"].T.contiguous(),
        "stem.weight": next(convolutions),
        "stem.bias": next(convolutions),
    }
    renamed = {"attn_norm.": "attention.norm.", "attn.in_proj_": "attention.qkv.", "attn.out_proj.": "attention.out."}
    for index in range(BLOCKS):
        prefix, ours = f"acoustic_model.model.blocks.{index}.", f"blocks.{index}."
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                own = name.removeprefix(prefix)
                for theirs, replacement in renamed.items():
                    own = own.replace(theirs, replacement)
                state[ours + own] = tensor
        state[ours + "conv.depthwise.weight"] = next(convolutions)
        state[ours + "conv.depthwise.bias"] = next(convolutions)
        for layer in ("ffn1.fc1", "ffn1.fc2", "attention.qkv", "attention.out", "ffn2.fc1", "ffn2.fc2"):
            state[f"{ours}{layer}.weight"] = next(products).T.contiguous()
    return state


ENTRIES = (EncoderSpec(NAME, HamaOptions, HamaEncoder, Pretrained(SOURCE, load)),)
