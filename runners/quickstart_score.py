"""How good the quickstart's result is: its animation of unseen sentences against the true motion of the example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.config import Configuration
from audio2face.dataset import ActorDataset
from audio2face.dataset.shots import read_phoneme_times
from audio2face.errors import UserError
from audio2face.evaluate.lips import ClosureScore, lip_distance, resample_frames, score_closure, score_lips
from audio2face.geometry import PointCache, find_cache, open_cache
from audio2face.model_folder.network_info import info_class
from audio2face.types import FloatArray

VOICES = ("ada", "ben")  # of the example; one of them is learnt from, the other is strange to the network


@dataclass(frozen=True)
class SentenceScore:
    """How one voice's sentences came out.

    Attributes:
        correlation: of the distance between the lips with the true one.
        error_mm: distance of the worst lip vertex from its true place, mean over frames.
        closure: p, b and m on which the lips meet.
        true_closure: the same for the true motion.
    """

    correlation: float
    error_mm: float
    closure: ClosureScore
    true_closure: ClosureScore

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"lip distance correlates {self.correlation:.2f} with the truth, worst lip vertex off by "
            f"{self.error_mm:.1f} mm, lips meet on {self.closure.closed} of {self.closure.phones} p, b, m "
            f"(in the true motion on {self.true_closure.closed})"
        )


def unseen_sentences(datasets: Path, voice: str) -> list[Path]:
    """Recordings of a voice that training has not heard.

    Args:
        datasets: where datasets lie.
        voice: of the example.
    """
    return sorted((datasets / "example" / voice / "unseen/audio").glob("*.wav"))


def emotion_of(sentence: str) -> str:
    """The emotion in which a sentence of the example is said: the last word of its name."""
    return sentence.rpartition("_")[2]


def take_name(sentence: str, actor: str) -> str:
    """What the folder and files of a sentence's animation are called."""
    return f"{sentence}_{actor}_{emotion_of(sentence)}"


def score_quickstart(configuration: Configuration, run: str) -> Mapping[str, SentenceScore]:
    """Scores the animations that the quickstart left, by voice; the learnt actor's motion is the truth of all.

    Args:
        configuration: for stage "inference".
        run: name of the training run.

    Raises:
        UserError: an animation is missing or cannot be read.
    """
    dataset = ActorDataset.open(configuration.actors[0], configuration.dataset)
    datasets = configuration.roots.datasets
    output = configuration.inference.INFERENCE_OUTPUT_ROOT / run
    scores = {}
    for voice in VOICES:
        animations = []
        for path in unseen_sentences(datasets, voice):
            name = take_name(path.stem, dataset.actor)
            # Names differ in the actor only.
            own = f"{dataset.actor}_{path.stem.partition('_')[2]}"
            animations.append((output / name / f"{name}.xml", own))
        unseen = datasets / "example" / dataset.actor / "unseen"
        moment = float(info_class(str(configuration.network_type)).frame_moment)
        scores[voice] = score_unseen(dataset, unseen, animations, moment)
    return scores


def score_unseen(
    dataset: ActorDataset, unseen: Path, animations: Sequence[tuple[Path, str]], moment: float = 0.5
) -> SentenceScore:
    """Compares animations with the true motion of the sentences, at the dataset's frame rate.

    Args:
        dataset: the actor whose face moves.
        unseen: folder of the true motion, laid out as a dataset.
        animations: skin cache and sentence (shot name) of each animation.
        moment: of a frame that an animation shows, see `resample_frames`.

    Raises:
        UserError: the actor has no lip vertices or no neutral pose, or a file cannot be read.
    """
    lips, neutral = dataset.lip_dist, dataset.skin_neutral
    if lips is None or neutral is None:
        raise UserError(f"actor {dataset.actor!r} has no lip vertices or no neutral pose to compare with")
    pairs = np.stack([lips.upper, lips.lower])
    rest = float(lip_distance(neutral[pairs][None])[0])
    found: list[FloatArray] = []
    true: list[FloatArray] = []
    closure, true_closure = ClosureScore(0, 0), ClosureScore(0, 0)
    for path, shot in animations:
        truth = _lips(open_cache(find_cache(unseen / "cache" / "skin", shot).path), pairs)
        cache = open_cache(path)
        made = resample_frames(_lips(cache, pairs), cache.fps or dataset.fps, len(truth), dataset.fps, moment)
        phones = read_phoneme_times(unseen / "phonemes" / f"{shot}.txt")
        closure += score_closure(lip_distance(made), rest, phones, dataset.fps)
        true_closure += score_closure(lip_distance(truth), rest, phones, dataset.fps)
        found.append(made)
        true.append(truth)
    score = score_lips(found, true)
    return SentenceScore(score.correlation, score.error_mm, closure, true_closure)


def _lips(cache: PointCache, pairs: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> FloatArray:
    """Lip vertices `[frames, 2, pairs, 3]` of a cache."""
    return np.concatenate([block[:, pairs] for block in cache.blocks()])
