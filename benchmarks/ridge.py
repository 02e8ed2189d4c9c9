"""The baseline for any trained network: ridge regression from the spectrum of speech to the lips.

    .venv/bin/python -m benchmarks.ridge datasets/example/ada

Takes a raw dataset folder with `audio/`, `cache/skin/` and `geom/skin/lip_dist_vertex_list.json`. Shots are sorted by
name and split twice, into those whose index leaves 7, and 3, when divided by 8, and the rest for training: 64 log-mel
bands, 9 taps over plus and minus 160 ms, to the lips. Printed for each split and on average: correlation of the lip
distance with the ground truth (mean over shots) and lip error (distance of the worst of the marked vertices, mean over
frames, then shots). The target for a network is 8 % less error and 0.02 more correlation than the average.

`--run TRAINING_RUN`, once for each split, scores trained networks too, each on its own held-out shots beside a
regression trained on all others. Shots of a split go into VALIDATION_SHOTS; the splits are printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.audio import read_track
from audio2face.dataset.shots import infer_emotion
from audio2face.dataset.vertex_lists import VertexPairs
from audio2face.evaluate import LipScore, Ridge, resample_frames, score_lips, speech_features
from audio2face.geometry import find_cache, list_shots, open_cache
from audio2face.inference.actor import exact_rate
from audio2face.models.diffusion.process import make_noise_schedule
from audio2face.training.inference.animate import Mode, RawInference, RawOptions, SamplingOptions
from audio2face.training.inference.diffusion import RawDiffusion, TrainedDiffusion
from audio2face.training.inference.regression import RawRegression, TrainedRegression
from audio2face.training.run_folder import TrainingRun
from audio2face.types import Float32Array, Float64Array, Int64Array

REMAINDERS, DIVISOR = (7, 3), 8
LESS_ERROR, MORE_CORRELATION = 0.08, 0.02


@dataclass(frozen=True)
class ShotData:
    """Training and validation data of a shot.

    Attributes:
        audio: the recording.
        features: `[frames, features]`.
        lips: recorded positions of the marked vertices, `[frames, 2, pairs, 3]`, centimetres.
    """

    audio: Path
    features: Float64Array
    lips: Float64Array


def read_shots(folder: Path, fps: float) -> tuple[dict[str, ShotData], Int64Array]:
    """Reads all shots, a block of frames at a time, and the marked vertices `[2, pairs]`."""
    pairs = VertexPairs.read(folder / "geom" / "skin" / "lip_dist_vertex_list.json")
    marked = np.stack([pairs.upper, pairs.lower])
    skin = folder / "cache" / "skin"
    shots = {}
    for name in list_shots(skin):
        blocks = open_cache(find_cache(skin, name).path).blocks()
        lips = np.concatenate([block[:, marked] for block in blocks]).astype(np.float64)
        audio = folder / "audio" / f"{name}.wav"
        shots[name] = ShotData(audio, speech_features(read_track(audio), len(lips), fps), lips)
    return shots, marked


def score_ridge(shots: Mapping[str, ShotData], held_out: Collection[str]) -> LipScore:
    """Fits the other shots, and scores the held-out ones."""
    training = [shot for name, shot in shots.items() if name not in held_out]
    ridge = Ridge.fit(
        [shot.features for shot in training], [shot.lips.reshape(len(shot.lips), -1) for shot in training]
    )
    judged = [shots[name] for name in held_out]
    predicted = [ridge.predict(shot.features).reshape(shot.lips.shape) for shot in judged]
    return score_lips(predicted, [shot.lips for shot in judged])


def score_run(
    model: TrainedDiffusion | TrainedRegression,
    shots: Mapping[str, ShotData],
    held_out: Sequence[str],
    marked: Int64Array,
    fps: float,
) -> LipScore:
    """Animates the held-out shots with a trained network, each as a whole, and scores them."""
    vocabulary = model.run.configuration.dataset.SHOT_EMOTION_NAMES
    predicted = []
    for name in held_out:
        emotion = infer_emotion(name, vocabulary) or model.train.DEFAULT_SHOT_EMOTION_NAME
        if isinstance(model, TrainedRegression):
            lips, rate = animate_regression(model, shots[name].audio, emotion, marked, fps), fps
        else:
            lips, rate = animate_diffusion(model, shots[name].audio, emotion, marked), model.train.TARGET_FPS
        predicted.append(resample_frames(lips, rate, len(shots[name].lips), fps))
    return score_lips(predicted, [shots[name].lips for name in held_out])


def animate_diffusion(model: TrainedDiffusion, audio: Path, emotion: str, marked: Int64Array) -> Float64Array:
    """Marked vertices `[frames, 2, pairs, 3]` of a recording, at the network's own rate."""
    train = model.train
    schedule = make_noise_schedule(train.DIFFUSION_NOISE_SCHEDULE, train.DIFFUSION_STEPS, "2")
    actor = model.actors[0]
    options = RawOptions(actor=actor, emotion=emotion, mode=Mode.parse("offline"), sampling=SamplingOptions(schedule))
    blocks = RawInference(RawDiffusion(model, options)).deltas(model.read_track(audio))
    return _marked(blocks, model.normalization(actor).skin, marked)


def animate_regression(
    model: TrainedRegression, audio: Path, emotion: str, marked: Int64Array, fps: float
) -> Float64Array:
    """The same at the rate of the recorded animation.

    A consumer's frame has the time of its start, a recorded one that of its middle: of twice as many frames,
    every other one is where the recorded ones are.
    """
    options = RawOptions(actor=model.actor, emotion=emotion, mode=Mode.parse("offline"), fps=2 * exact_rate(fps))
    blocks = RawInference(RawRegression(model, options)).deltas(model.read_track(audio))
    return _marked(blocks, model.components(model.actor, "skin").mean, marked)[1::2]


def _marked(blocks: Iterable[Float32Array], rest: Float32Array, marked: Int64Array) -> Float64Array:
    """Positions of marked vertices of the skin, which comes first among the deltas of `blocks`."""
    moved = [block[:, : rest.size].reshape(len(block), -1, 3)[:, marked] for block in blocks]
    positions: Float64Array = (np.concatenate(moved) + rest[marked]).astype(np.float64)
    return positions


def open_run(path: Path) -> TrainedDiffusion | TrainedRegression:
    """Opens a training run of either type."""
    kind = TrainingRun.open(path).network.get("network_type")
    return TrainedRegression.open(path) if kind == "regression" else TrainedDiffusion.open(path)


def show(what: str, score: LipScore) -> None:
    """Prints one row of the table."""
    print(f"  {what:<44} {score.correlation:11.3f} {score.error_mm:10.2f} mm", flush=True)


def mean_of(scores: Sequence[LipScore]) -> LipScore:
    """The mean over splits."""
    return LipScore(
        error_mm=float(np.mean([score.error_mm for score in scores])),
        correlation=float(np.mean([score.correlation for score in scores])),
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="raw dataset of one actor")
    parser.add_argument("--fps", type=float, default=30.0, help="of its animation (default: 30)")
    parser.add_argument("--run", type=Path, action="append", default=[], help="folder of a training run to score too")
    args = parser.parse_args()
    began = time.perf_counter()
    shots, marked = read_shots(args.folder, args.fps)
    frames = sum(len(shot.lips) for shot in shots.values())
    print(f"{len(shots)} shots, {frames} frames, read in {time.perf_counter() - began:.1f} s")
    print(f"  {'':<44} correlation  lip error")
    names = list(shots)
    scores = []
    for remainder in REMAINDERS:
        held_out = names[remainder::DIVISOR]
        scores.append(score_ridge(shots, held_out))
        show(f"ridge, every 8th shot from the {remainder + 1}th", scores[-1])
        print(f"    held out: {', '.join(held_out)}")
    floor = mean_of(scores)
    show("ridge, mean", floor)
    bar = LipScore((1 - LESS_ERROR) * floor.error_mm, floor.correlation + MORE_CORRELATION)
    show("the bar for a network", bar)
    trained = []
    for path in args.run:
        model = open_run(path)
        held_out = [name for name in model.train.VALIDATION_SHOTS.get(model.actors[0], ()) if name in shots]
        if not held_out:
            parser.error(f"{path}: VALIDATION_SHOTS names no shot of {args.folder}")
        trained.append(score_run(model, shots, held_out, marked, args.fps))
        show(f"{path.name}", trained[-1])
        show("  ridge on the same shots", score_ridge(shots, held_out))
    if trained:
        mean = mean_of(trained)
        show("networks, mean", mean)
        reached = mean.error_mm <= bar.error_mm and mean.correlation >= bar.correlation
        print(f"  the bar is {'reached' if reached else 'not reached'}")


if __name__ == "__main__":
    main()
