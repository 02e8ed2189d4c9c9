"""a2f-phonetic: this project's own small encoder, trained on synthetic speech in many languages.

`a2f-phonetic` is causal, for live speech; `a2f-phonetic-bidirectional` has context on both sides, for recordings.

It computes phonetic classes (manner, place, voicing, height, frontness, rounding, phone) and viseme channels; its
features are their probabilities and the layer before them. Its weights are in this package, its model card is
`audio2face/phonetic/a2f_phonetic.md`, and `tools/train_phonetic_encoder.py` trains it. `audio2face/phonetic` holds the
same network in NumPy, and describes its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.audio.mel import MEL_BANDS, MEL_HOP, mel_bands
from audio2face.io.atomic import file_sha256
from audio2face.models.encoders.base import (
    SAMPLE_RATE,
    EncoderInfo,
    SingleLayer,
    SpeechEncoder,
    fourier_kernels,
    select_layers,
)
from audio2face.models.encoders.registry import EncoderSpec, Pretrained
from audio2face.models.encoders.weights import MissingWeightsError, WeightsLocation
from audio2face.models.layers import GatedLayer, convolve_steps, full_precision
from audio2face.phonetic import front_end
from audio2face.phonetic.classes import ATTRIBUTES, POSTERIORS, VISEME_CHANNELS
from audio2face.phonetic.network import (
    AHEAD_FRAMES,
    DILATIONS,
    FIRST_SAMPLE,
    STEM_TAPS,
    STEP_SAMPLES,
    TAPS,
    read_weights,
    weights_path,
)

NAMES = {"causal": "a2f-phonetic", "bidirectional": "a2f-phonetic-bidirectional"}  # by direction
WIDTH, BOTTLENECK = 144, 64
LAYER_WIDTHS = (WIDTH, BOTTLENECK, POSTERIORS + len(VISEME_CHANNELS))
DEFAULT_LAYERS = (1, 2)
_LONGEST_SECONDS = 60


@dataclass(frozen=True)
class PhoneticOptions:
    """The options of this encoder.

    Attributes:
        layers: the layers to use, one behind another: 0, the wide layer before the bottleneck (144 features), 1, the
            bottleneck (64), 2, the probabilities of all classes and the viseme channels (134); empty: 1 and 2.
        fine_tune: trains the network with the face; otherwise it is frozen.
    """

    layers: tuple[int, ...] = ()
    fine_tune: bool = False


class Output(NamedTuple):
    """What the network computes for each step.

    Attributes:
        hidden: `[batch, steps, 144]`.
        bottleneck: `[batch, steps, 64]`, in (-1, 1).
        scores: of the classes, before the softmax of each attribute, `[batch, steps, classes]`.
        channels: of visemes, `[batch, steps, channels]`.
    """

    hidden: Tensor
    bottleneck: Tensor
    scores: Tensor
    channels: Tensor


class PhoneticNetwork(nn.Module):
    """Input frames in, phonetic scores and viseme channels out. `audio2face.phonetic.network` describes it."""

    def __init__(self, causal: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv1d(MEL_BANDS, WIDTH, STEM_TAPS, stride=2)
        self.layers = nn.ModuleList(GatedLayer(WIDTH, dilation, causal, TAPS) for dilation in DILATIONS)
        self.norm = nn.LayerNorm(WIDTH)
        self.bottleneck = nn.Linear(WIDTH, BOTTLENECK)
        self.scores = nn.Linear(BOTTLENECK, POSTERIORS)
        self.channels = nn.Linear(BOTTLENECK, len(VISEME_CHANNELS))

    def forward(self, frames: Tensor) -> Output:
        """Computes the steps of frames `[batch, 2 steps + 4, 80]`: those of the steps, and four that follow."""
        padded = functional.pad(frames.transpose(1, 2), (1, 0), value=front_end.SILENT_FRAME)
        hidden = functional.silu(self.stem(padded)).transpose(1, 2)
        for layer in self.layers:
            hidden = layer(hidden)
        return self._outputs(hidden)

    @property
    def past_shapes(self) -> list[tuple[int, int]]:
        """Shapes of what `advance` remembers of each item: input frames, then the inputs of each layer."""
        reaches = [layer.reach for layer in self.layers if isinstance(layer, GatedLayer)]
        return [(STEM_TAPS - 2, MEL_BANDS), *((reach, WIDTH) for reach in reaches)]

    def advance(self, frames: Tensor, past: Sequence[Tensor]) -> tuple[Output, list[Tensor]]:
        """Computes the steps that further frames complete; of the causal network.

        Args:
            frames: an even number, `[batch, 2 steps, 80]`.
            past: what it gave for the frames before, `[batch, *shape]` of each of `past_shapes`; zeros at the start.

        Returns:
            The steps, of which the last depends on all frames, and `past` for the frames after.
        """
        padded = torch.cat([past[0] + front_end.SILENT_FRAME, frames], dim=1)
        kept = [padded[:, frames.shape[1] :] - front_end.SILENT_FRAME]
        hidden = functional.silu(convolve_steps(self.stem, padded, frames.shape[1] // 2))
        for layer, before in zip(self.layers, past[1:], strict=True):
            assert isinstance(layer, GatedLayer)
            hidden, after = layer.advance(hidden, before)
            kept.append(after)
        return self._outputs(hidden), kept

    def _outputs(self, hidden: Tensor) -> Output:
        hidden = self.norm(hidden)
        narrow = torch.tanh(self.bottleneck(hidden))
        return Output(hidden, narrow, self.scores(narrow), self.channels(narrow))


class FrontEnd(nn.Module):
    """Audio to input frames, as `audio2face.phonetic.front_end` describes them."""

    kernels: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Constants, which the weights need not hold.
        self.register_buffer("kernels", fourier_kernels(), persistent=False)
        self.register_buffer("bands", torch.from_numpy(mel_bands()), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Maps `[batch, samples]` to float32 `[batch, 2 steps + 4, 80]`; behind the end lies silence."""
        frames = audio.shape[1] // STEP_SAMPLES * 2 + AHEAD_FRAMES
        behind = frames * MEL_HOP - audio.shape[1]
        with full_precision(audio.device.type):
            padded = functional.pad(audio.float()[:, None], (front_end.OVERLAP, behind))
            real, imaginary = functional.conv1d(padded, self.kernels, stride=MEL_HOP).chunk(2, dim=1)
            return relative_to_level((self.bands @ (real * real + imaginary * imaginary)).transpose(1, 2))


def relative_to_level(power: Tensor) -> Tensor:
    """Maps power in mel bands `[batch, frames, 80]` to input frames, relative to the running level."""
    before = functional.pad(power.mean(dim=2), (front_end.SMOOTHED - 1, 0))
    frames = power.shape[1]  # shifted copies, because not every runtime has pooling
    summed = torch.stack([before[:, shift : shift + frames] for shift in range(front_end.SMOOTHED)]).sum(dim=0)
    level = (summed / front_end.SMOOTHED).clamp(min=front_end.QUIETEST).log()
    lowest = float(np.log(front_end.QUIETEST))
    for doubling in range(front_end.DOUBLINGS):
        span = 2**doubling
        if span >= level.shape[1]:
            break  # nothing is that long ago
        earlier = functional.pad(level[:, :-span], (span, 0), value=lowest) - front_end.DECAY * span
        level = torch.maximum(level, earlier)
    reference = level.exp()[:, :, None]
    relative = torch.log(power / reference + front_end.RELATIVE_FLOOR)
    return (relative - front_end.CENTRE) / front_end.SCALE


class PhoneticEncoder(SpeechEncoder):
    """The network with its front end."""

    def __init__(
        self, options: PhoneticOptions, weights_sha256: str | None = None, *, direction: str = "causal"
    ) -> None:
        layers = select_layers(options.layers, len(LAYER_WIDTHS)) if options.layers else DEFAULT_LAYERS
        info = EncoderInfo(
            name=NAMES[direction],
            width=sum(LAYER_WIDTHS[layer] for layer in layers),
            layers=1,
            window_samples=STEP_SAMPLES,
            step_samples=STEP_SAMPLES,
            first_sample=FIRST_SAMPLE,
            longest_samples=_LONGEST_SECONDS * SAMPLE_RATE,
            alignment="times",
            frozen=() if options.fine_tune else ("network",),
            licence="Apache-2.0, as this project; trained on synthetic speech of eSpeak NG, Kokoro and hibari-tts",
            source="this package: audio2face/phonetic",
            weights_sha256=weights_sha256,
        )
        super().__init__(info, asdict(options), SingleLayer())
        self._layers = layers
        self.front_end = FrontEnd()
        self.network = PhoneticNetwork(direction == "causal")
        self.freeze()

    def encode_window(self, audio: Tensor) -> Tensor:
        """Computes the layers of one window, one behind another, `[1, batch, steps, features]`."""
        return self.layer_features(self.network(self.front_end(audio)))

    def layer_features(self, output: Output) -> Tensor:
        """The chosen layers of an output, one behind another, `[1, batch, steps, features]`: `hidden_layers`."""
        computed = torch.cat([*posteriors(output.scores), output.channels], dim=-1)
        layers = (output.hidden, output.bottleneck, computed)
        return torch.cat([layers[layer] for layer in self._layers], dim=-1)[None]


def posteriors(scores: Tensor) -> Sequence[Tensor]:
    """Probabilities of the classes of each attribute, `[batch, steps, classes]` each."""
    return [torch.softmax(part, dim=-1) for part in torch.split(scores, list(ATTRIBUTES.values()), dim=-1)]


@dataclass(frozen=True)
class OwnWeights:
    """The weights in this package, or in a folder of weights.

    Attributes:
        direction: "causal" or "bidirectional".
    """

    direction: str

    def find(self, location: WeightsLocation) -> Path | None:
        """Searches the folders, then the package."""
        own = weights_path(self.direction)
        candidates = [folder / own.name for folder in location.folders]
        if location.folder is None:
            candidates.append(own)
        return next((path for path in candidates if path.is_file()), None)

    def fetch(self, location: WeightsLocation) -> Path:
        """Always raises: they come with the package."""
        raise MissingWeightsError(
            f"the weights of {location.kind} {location.encoder!r} are not there",
            path=location.folder,
            hint=f"They are the file {weights_path(self.direction).name} of this package: install it again.",
        )


def _load(direction: str, options: PhoneticOptions, path: Path) -> SpeechEncoder:
    encoder = PhoneticEncoder(options, file_sha256(path), direction=direction)
    encoder.network.load_state_dict({name: torch.from_numpy(values) for name, values in read_weights(path).items()})
    return encoder


def _spec(direction: str) -> EncoderSpec:
    build = partial(PhoneticEncoder, direction=direction)
    pretrained = Pretrained(OwnWeights(direction), partial(_load, direction))
    return EncoderSpec(NAMES[direction], PhoneticOptions, build, pretrained)


ENTRIES = tuple(_spec(direction) for direction in NAMES)
