"""Trains the encoder `a2f-phonetic` on synthetic speech with labels: about four minutes on one core.

    export PYTHONPATH=espeak_ng:kokoro_voices
    .venv/bin/python -m tools.labelled_speech speech/train --processes 2
    .venv/bin/python -m tools.labelled_speech speech/valid --hours 0.15 --natural-minutes 2 --kokoro-minutes 4 \\
        --other-minutes 4 --seed 1000
    OMP_NUM_THREADS=1 .venv/bin/python -m tools.train_phonetic_encoder speech/train --validate speech/valid

It writes the weights as 16-bit floats to `audio2face/phonetic`, and prints the accuracy of each attribute and the
correlation of the viseme channels on utterances that it was not trained on. The same speech, seed and number of steps
give the same weights on one machine with one thread.

All augmentation is done on the mel bands (`tools/mel_augmentation.py`), before the running level is taken off.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from audio2face.console import console
from audio2face.io.atomic import atomic_write
from audio2face.models.encoders.entries.a2f_phonetic import Output, PhoneticNetwork
from audio2face.models.encoders.frames import relative_to_level
from audio2face.phonetic.classes import ATTRIBUTES, MANNERS, VISEME_CHANNELS
from audio2face.phonetic.network import AHEAD_FRAMES, read_weights, weights_path
from audio2face.types import Float32Array
from tools.mel_augmentation import Augmentation

BATCH, STEPS_PER_ITEM = 16, 150
SHARES = {"formant": 0.36, "natural": 0.08, "kokoro": 0.4, "other": 0.16}  # of the items of a batch
SPEED = 0.22  # greatest natural logarithm of the change of speed
LEARNING_RATE, WARM_UP, WEIGHT_DECAY, GRADIENT_NORM = 2e-3, 100, 0.01, 1.0
ATTRIBUTE_WEIGHTS = dict(zip(ATTRIBUTES, (1.0, 1.0, 0.5, 0.7, 0.5, 0.7, 1.0), strict=True))
CURVE_WEIGHTS = (2.0, 1.0)  # of the mean distance and the mean square, in units of each channel's spread
CONTACT_WEIGHT = 1.5  # of the mean square; the median of a rare contact is none, so its distance would teach nothing
CURVES = VISEME_CHANNELS.index("closure")  # channels before the contacts
SILENCE = MANNERS.index("silence")
BOTTLENECK_DROPOUT = 0.1
BACKGROUND_SHARE = 0.25  # of the items, that have a sound that is no speech behind them
INTERRUPTED_SHARE = 0.35  # of the items, that have one before, between or after words
INTERRUPTION_STEPS = (8, 100)
INTERRUPTION_LEVELS = (-6.0, 0.5)  # natural logarithms of power, relative to speech
INTERRUPTION_RISE = (1, 16)  # frames


@dataclass(frozen=True)
class Speech:
    """All parts of one kind: log power in mel bands, and labels."""

    mel: np.ndarray  # float16 [frames, 80]
    classes: np.ndarray  # uint8 [steps, 7]
    channels: np.ndarray  # float16 [steps, channels]
    lengths: np.ndarray  # int64 [utterances], steps

    @classmethod
    def read(cls, folder: Path, kind: str) -> Speech:
        """Reads the parts that `tools/labelled_speech.py` wrote."""
        parts = [np.load(path, allow_pickle=False) for path in sorted(folder.glob(f"{kind}_*.npz"))]
        names = ("mel", "classes", "channels", "lengths")
        return cls(*(np.concatenate([part[name] for part in parts]) for name in names))


@dataclass(frozen=True)
class Batch:
    """Items for one update: `[batch, 2 steps + 4, 80]`, `[batch, steps, 7]`, `[batch, steps, channels]`."""

    mel: Tensor
    classes: Tensor
    channels: Tensor


class Batches:
    """Draws items with random speed, and sounds behind some of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.speech = {kind: Speech.read(folder, kind) for kind in SHARES}
        self._rng = np.random.default_rng(seed)

    def draw(self) -> Batch:
        """Returns one batch."""
        kinds = self._rng.choice(list(SHARES), BATCH, p=list(SHARES.values()))
        interrupted = self._rng.random(BATCH) < INTERRUPTED_SHARE
        items = (
            self._interrupted(*self._item(kind)) if within and kind != "other" else self._item(kind)
            for kind, within in zip(kinds.tolist(), interrupted.tolist(), strict=True)
        )
        mels, classes, channels = zip(*items, strict=True)
        mel = np.stack(mels)
        for row in np.flatnonzero(self._rng.random(BATCH) < BACKGROUND_SHARE):
            behind = self._item("other")[0] + self._rng.uniform(-7.0, -2.0)
            mel[row] = np.logaddexp(mel[row], behind)
        return Batch(
            torch.from_numpy(mel), torch.from_numpy(np.stack(classes)).long(), torch.from_numpy(np.stack(channels))
        )

    def _interrupted(
        self, mel: Float32Array, classes: np.ndarray, channels: Float32Array
    ) -> tuple[Float32Array, np.ndarray, Float32Array]:
        """An item with a sound that is no speech, such as a breath, put into a pause; what follows is later."""
        quiet = classes[:, 0] == SILENCE
        pauses = np.flatnonzero(quiet[:-2] & quiet[1:-1] & quiet[2:]) + 1
        if not len(pauses):
            return mel, classes, channels
        at, length = int(self._rng.choice(pauses)), int(self._rng.integers(*INTERRUPTION_STEPS))
        other, other_classes, other_channels = (part[: 2 * length] for part in self._item("other"))
        rise = self._rng.integers(*INTERRUPTION_RISE, 2)
        frames = np.arange(len(other))
        ramp = np.minimum(np.minimum((frames + 1) / rise[0], (len(other) - frames) / rise[1]), 1.0)[:, None]
        sound = other + np.float32(self._rng.uniform(*INTERRUPTION_LEVELS)) + 2 * np.log(ramp)
        inserted = np.logaddexp(sound, mel[2 * at])
        return (
            np.concatenate([mel[: 2 * at], inserted, mel[2 * at :]])[: len(mel)].astype(np.float32),
            np.concatenate([classes[:at], other_classes[:length], classes[at:]])[: len(classes)],
            np.concatenate([channels[:at], other_channels[:length], channels[at:]])[: len(channels)],
        )

    def _item(self, kind: str) -> tuple[Float32Array, np.ndarray, Float32Array]:
        speech, speed = self.speech[kind], math.exp(self._rng.uniform(-SPEED, SPEED))
        frames = 2 * STEPS_PER_ITEM + AHEAD_FRAMES
        needed = int(frames / 2 * speed) + 3  # steps of the recording
        start = int(self._rng.integers(len(speech.classes) - needed))
        mel = speech.mel[2 * start : 2 * (start + needed)].astype(np.float32)
        at = ((np.arange(frames) + 0.5) * speed - 0.5).clip(0)
        below = np.floor(at).astype(int)
        share = (at - below)[:, None].astype(np.float32)
        warped = mel[below] * (1 - share) + mel[below + 1] * share
        rows = start + np.round((np.arange(STEPS_PER_ITEM) + 0.5) * speed - 0.5).astype(int).clip(0)
        return warped, speech.classes[rows], speech.channels[rows].astype(np.float32)


def loss_of(output: Output, batch: Batch, spread: Tensor) -> Tensor:
    """Cross entropies of the attributes, and distances of the channels in units of their spread."""
    curves, contacts = ((output.channels - batch.channels) / spread).tensor_split([CURVES], dim=-1)
    linear, square = CURVE_WEIGHTS
    total = linear * curves.abs().mean() + square * curves.square().mean() + CONTACT_WEIGHT * contacts.square().mean()
    parts = torch.split(output.scores, list(ATTRIBUTES.values()), dim=-1)
    for index, (weight, part) in enumerate(zip(ATTRIBUTE_WEIGHTS.values(), parts, strict=True)):
        total = total + weight * functional.cross_entropy(part.flatten(0, 1), batch.classes[..., index].flatten())
    return total


def train(
    batches: Batches, steps: int, seed: int, causal: bool, start: Path | None = None
) -> Iterator[tuple[int, float, PhoneticNetwork]]:
    """Trains a network; yields step, mean loss of the last steps and the network, about every 250 steps and at last.

    Args:
        batches: items.
        steps: number of updates.
        seed: of weights and augmentation.
        causal: whether it looks back only.
        start: weights to continue from, at half the learning rate; None: random ones.
    """
    torch.manual_seed(seed)
    network, augmentation = DroppingNetwork(causal), Augmentation(seed)
    if start is not None:
        network.load_state_dict({name: torch.from_numpy(values) for name, values in read_weights(start).items()})
    highest = LEARNING_RATE if start is None else LEARNING_RATE / 2
    spread = torch.from_numpy(batches.speech["formant"].channels.astype(np.float32).std(0)) + 0.02
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    mean = 0.0
    for step in range(1, steps + 1):
        rate = highest * min(1.0, step / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = batches.draw()
        frames = relative_to_level(augmentation(batch.mel).exp())
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(network(frames), batch, spread)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
        optimizer.step()
        mean += (loss.item() - mean) * max(0.02, 1 / step)
        if step % 250 == 0 or step == steps:
            yield step, mean, network


class DroppingNetwork(PhoneticNetwork):
    """The network with dropout of whole features before the bottleneck while it is trained."""

    def __init__(self, causal: bool) -> None:
        super().__init__(causal)
        self.bottleneck.register_forward_pre_hook(self._drop)

    def _drop(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        dropped = functional.dropout1d(inputs[0].transpose(1, 2), BOTTLENECK_DROPOUT, self.training)
        return (dropped.transpose(1, 2),)


def score(network: PhoneticNetwork, speech: Speech) -> dict[str, float]:
    """Accuracy of each attribute, and the mean correlation of the channels, over all steps of the utterances."""
    ends = np.cumsum(speech.lengths)
    hits, found = [], []
    network.eval()
    with torch.no_grad():
        for start, end in zip(ends - speech.lengths, ends, strict=True):
            mel = torch.from_numpy(speech.mel[2 * start : 2 * end].astype(np.float32)).exp()
            frames = relative_to_level(functional.pad(mel, (0, 0, 0, AHEAD_FRAMES))[None])
            output = network(frames)
            parts = torch.split(output.scores[0], list(ATTRIBUTES.values()), dim=-1)
            best = torch.stack([part.argmax(-1) for part in parts], dim=-1).numpy()
            hits.append(best == speech.classes[start:end])
            found.append(output.channels[0].numpy())
    network.train()
    channels = speech.channels.astype(np.float32).T
    correlations = [
        np.corrcoef(one, true)[0, 1] if true.std() > 0 else 0.0  # at rest in sounds that are no speech
        for one, true in zip(np.concatenate(found).T, channels, strict=True)
    ]
    accuracies = dict(zip(ATTRIBUTES, np.concatenate(hits).mean(0), strict=True))
    named = dict(zip(VISEME_CHANNELS, correlations, strict=True))
    chosen = {name: named[name] for name in ("jaw", "funnel", "pucker", "closure", "labiodental")}
    return {name: round(float(value), 3) for name, value in (accuracies | chosen).items()}


def halfway(network: PhoneticNetwork, start: Path) -> PhoneticNetwork:
    """Moves a network half the way back to the weights that it continued from.

    It keeps most of what it has learned, and forgets less of what it could (Wortsman et al., Robust fine-tuning of
    zero-shot models, 2022).
    """
    before, after = read_weights(start), network.state_dict()
    network.load_state_dict({name: (torch.from_numpy(before[name]) + value) / 2 for name, value in after.items()})
    return network


def save_weights(network: PhoneticNetwork, path: Path, made: dict[str, str]) -> None:
    """Writes the weights as 16-bit floats, atomically.

    Raises:
        UserError: the file cannot be written.
    """
    state = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    with atomic_write(path) as handle:
        handle.write(save(state, made))


def main(argv: Sequence[str]) -> int:
    """Trains, scores and writes."""
    description = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tools.train_phonetic_encoder", description=description)
    parser.add_argument("speech", type=Path, help="folder of tools.labelled_speech")
    parser.add_argument("--validate", type=Path, required=True, help="folder of other utterances")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bidirectional", action="store_true", help="looks to both sides, for recordings")
    parser.add_argument("--start", type=Path, help="weights to continue from, and to end half-way to")
    parser.add_argument("--to", type=Path, help="file of the weights (default: the package's)")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    direction = "bidirectional" if options.bidirectional else "causal"
    batches, started = Batches(options.speech, options.seed), time.monotonic()
    judged = {kind: Speech.read(options.validate, kind) for kind in SHARES}
    path = options.to or weights_path(direction)
    for step, loss, network in train(batches, options.steps, options.seed, not options.bidirectional, options.start):
        console().print(f"step {step}, loss {loss:.3f}, {time.monotonic() - started:.0f} s", highlight=False)
        if step == options.steps:
            if options.start is not None:
                network = halfway(network, options.start)
            for kind, speech in judged.items():
                console().print(f"  {kind}: {score(network, speech)}", highlight=False)
            made = {"steps": str(step), "seed": str(options.seed), "direction": direction}
            save_weights(network, path, made)
    console().print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
