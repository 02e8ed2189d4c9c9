"""From nothing to a face that speaks an unseen sentence; the host script run_quickstart.py starts it.

Complete results of an earlier call are reused. At the end, animations of sentences that training has not seen are
scored against the example's true motion, and one of them is shown beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.cli import animate, parsers, stages
from audio2face.cli.process import open_configuration, run_stage
from audio2face.cli.reuse import KeptResults, deploy_once, exported_files, files_to_open, show_shot, trained_run
from audio2face.config import Configuration, Roots
from audio2face.console import LOGGER, start_logging
from audio2face.dataset import ActorDataset
from audio2face.dataset.phoneme_times import read_phoneme_times
from audio2face.errors import UserError
from audio2face.evaluate.lips import ClosureScore, lip_distance, resample_frames, score_closure, score_lips
from audio2face.example.make import STAMP_FILE, make_example
from audio2face.example.sentences import VOICES, emotion_of, unseen_dataset, unseen_folder, unseen_sentences
from audio2face.geometry import PointCache, find_cache, open_cache
from audio2face.io.arrays import read_json
from audio2face.model_folder.network_info import info_class
from audio2face.preproc.run import preprocess
from audio2face.runs import RunFolder, log_outputs
from audio2face.types import FloatArray

BOTH_ACTORS = "quickstart-multi"  # whose data are looked over
RECORD_FILE = "quickstart.json"
QUICKSTART_FORMATS = ("page", "video", "maya", "arkit", "glb")
RESUME_HINT = "Run the same command again: complete results are reused."


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    config_name = f"quickstart-{parsers.parse('quickstart', argv).network}"
    start_logging()
    datasets = Roots.from_environment().datasets
    make_example(datasets / "example", actors=VOICES)
    status = stages.check([BOTH_ACTORS])
    if status != 0:
        return status
    prepared = open_configuration("preproc", config_name, config_file=None)
    actor = prepared.actors[0]
    preprocessed = preprocess(prepared, actor)
    run = trained_run(open_configuration("train", config_name, config_file=None), {actor: preprocessed.run.name})
    animated = open_configuration("inference", config_name, config_file=None)
    output = animated.inference.INFERENCE_OUTPUT_ROOT / run.name
    kept = KeptResults(output / RECORD_FILE, _inputs(animated, run))
    model = deploy_once(animated, run, kept, [config_name, run.name])
    results = _animate_unseen(animated, run.name, kept)
    for voice, score in score_quickstart(animated, run.name).items():
        LOGGER.info("unseen sentences in %s's voice: %s", voice, score)
    log_outputs(
        {
            **results,
            "all animations": output,
            "deployed model": model,
            "training run": run.path,
            "preprocessing report": preprocessed.run.path / "report" / "report.md",
        },
        [
            f"python run_inference.py {config_name} {run.name} --audio YOUR_SPEECH.wav",
            "python run_check.py CONFIG_NAME    # your own data: see README.md",
        ],
    )
    return 0


def _inputs(configuration: Configuration, run: RunFolder) -> dict[str, Any]:
    """What the deployed model and its animations depend on."""
    examples = configuration.roots.datasets / "example"
    return {
        "run": run.name,
        "exported": exported_files(run),
        "configuration": configuration.full,
        "examples": {voice: read_json(examples / voice / STAMP_FILE) for voice in VOICES},
    }


def _animate_unseen(configuration: Configuration, run: str, kept: KeptResults) -> dict[str, Path]:
    """Animates all sentences that training has not seen, in both voices, and shows one beside its ground truth.

    Animations of an earlier call that are whole are kept.

    Returns:
        What to open of the one that is shown.
    """
    datasets = configuration.roots.datasets
    actor = ActorDataset.open(configuration.actors[0], configuration.dataset)
    output = configuration.inference.INFERENCE_OUTPUT_ROOT / run
    shown = unseen_sentences(datasets, actor.actor)[-1]
    spoken = [path for voice in VOICES for path in unseen_sentences(datasets, voice) if path != shown]
    names = {path: animation_name(path.stem, actor.actor) for path in [*spoken, shown]}
    missing = [path for path in spoken if not kept.is_whole(names[path], output / names[path])]
    plain = ["--format", "maya", "--solver", "none", "--no-blinks", "--force"]  # this record decides what is reused
    for emotion in sorted({emotion_of(path.stem) for path in missing}):
        recordings = [path for path in missing if emotion_of(path.stem) == emotion]
        words = ["--emotion", emotion, "--audio", *map(str, recordings)]
        if animate.main([configuration.name, run, *plain, *words]) != 0:
            raise UserError("some sentences could not be animated", path=output, hint="Run the same command again.")
        for path in recordings:
            kept.add(names[path], output / names[path])
    if len(missing) < len(spoken):
        LOGGER.info("unchanged, using %d animations in %s", len(spoken) - len(missing), output)
    folder = output / names[shown]
    if not kept.is_whole(names[shown], folder):
        model = configuration.train.FINAL_DEPLOY_ROOT / run
        unseen = unseen_dataset(actor, datasets)
        show_shot(model, unseen, shown.stem, emotion_of(shown.stem), folder, QUICKSTART_FORMATS)
        kept.add(names[shown], folder)
    return {"a sentence outside the training set": shown, **files_to_open(folder)}


@dataclass(frozen=True)
class SentenceScore:
    """Scores of one voice.

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


def animation_name(sentence: str, actor: str) -> str:
    """Name of the folder and the files of a sentence's animation."""
    return f"{sentence}_{actor}_{emotion_of(sentence)}"


def score_quickstart(configuration: Configuration, run: str) -> Mapping[str, SentenceScore]:
    """Scores the animations that the quickstart left, by voice; the trained actor's motion is their ground truth.

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
            name = animation_name(path.stem, dataset.actor)
            # Names differ in the actor only.
            own = f"{dataset.actor}_{path.stem.partition('_')[2]}"
            animations.append((output / name / f"{name}.xml", own))
        unseen = unseen_folder(datasets, dataset.actor)
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
        moment: of a frame that an animation shows within its interval: 0 for its beginning, 0.5 for its middle.

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
        true_motion = _lips(open_cache(find_cache(unseen / "cache" / "skin", shot).path), pairs)
        cache = open_cache(path)
        made = resample_frames(_lips(cache, pairs), cache.fps or dataset.fps, len(true_motion), dataset.fps, moment)
        phones = read_phoneme_times(unseen / "phonemes" / f"{shot}.txt")
        closure += score_closure(lip_distance(made), rest, phones, dataset.fps)
        true_closure += score_closure(lip_distance(true_motion), rest, phones, dataset.fps)
        found.append(made)
        true.append(true_motion)
    score = score_lips(found, true)
    return SentenceScore(score.correlation, score.error_mm, closure, true_closure)


def _lips(cache: PointCache, pairs: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> FloatArray:
    """Lip vertices `[frames, 2, pairs, 3]` of a cache."""
    return np.concatenate([block[:, pairs] for block in cache.blocks()])


if __name__ == "__main__":
    run_stage(main, RESUME_HINT)
