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

import torch
from torch import Tensor, nn

from audio2face.io.atomic import file_sha256
from audio2face.models.encoders.base import SAMPLE_RATE, EncoderInfo, SingleLayer, SpeechEncoder, select_layers
from audio2face.models.encoders.frames import CausalEncoder, FrameNetwork, FrontEnd
from audio2face.models.encoders.registry import EncoderSpec, Pretrained
from audio2face.models.encoders.weights import MissingWeightsError, WeightsLocation
from audio2face.phonetic.classes import ATTRIBUTES, POSTERIORS, VISEME_CHANNELS
from audio2face.phonetic.network import (
    DILATIONS,
    FIRST_SAMPLE,
    STEP_SAMPLES,
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


class PhoneticNetwork(FrameNetwork):
    """Input frames in, phonetic scores and viseme channels out. `audio2face.phonetic.network` describes it."""

    def __init__(self, causal: bool = True) -> None:
        super().__init__(WIDTH, DILATIONS, causal)
        self.bottleneck = nn.Linear(WIDTH, BOTTLENECK)
        self.scores = nn.Linear(BOTTLENECK, POSTERIORS)
        self.channels = nn.Linear(BOTTLENECK, len(VISEME_CHANNELS))

    def forward(self, frames: Tensor) -> Output:
        """Computes the steps of frames `[batch, 2 steps + 4, 80]`: those of the steps, and four that follow."""
        return self._outputs(self.steps(frames))

    def advance(self, frames: Tensor, past: Sequence[Tensor]) -> tuple[Output, list[Tensor]]:
        """Computes the steps that further frames complete, as `advance_steps`; of the causal network."""
        hidden, kept = self.advance_steps(frames, past)
        return self._outputs(hidden), kept

    def _outputs(self, hidden: Tensor) -> Output:
        narrow = torch.tanh(self.bottleneck(hidden))
        return Output(hidden, narrow, self.scores(narrow), self.channels(narrow))


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


class CausalPhoneticEncoder(PhoneticEncoder, CausalEncoder):
    """The causal network, which carries its state from step to step."""

    @property
    def past_shapes(self) -> list[tuple[int, int]]:
        """Shapes of what the network remembers."""
        return self.network.past_shapes

    def advance(self, frames: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The chosen layers of the next steps; see `CausalEncoder`."""
        output, kept = self.network.advance(frames, past)
        return self.layer_features(output), kept


_CLASSES: dict[str, type[PhoneticEncoder]] = {"causal": CausalPhoneticEncoder, "bidirectional": PhoneticEncoder}


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
    encoder = _CLASSES[direction](options, file_sha256(path), direction=direction)
    encoder.network.load_state_dict({name: torch.from_numpy(values) for name, values in read_weights(path).items()})
    return encoder


def _spec(direction: str) -> EncoderSpec:
    build = partial(_CLASSES[direction], direction=direction)
    pretrained = Pretrained(OwnWeights(direction), partial(_load, direction))
    return EncoderSpec(NAMES[direction], PhoneticOptions, build, pretrained)


ENTRIES = tuple(_spec(direction) for direction in NAMES)
