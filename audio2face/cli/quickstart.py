"""From nothing to a face that speaks a sentence it has never heard; the host script run_quickstart.py starts it.

What an earlier call made and is whole is kept. At the end, animations of sentences that training has not seen are
scored against the example's true motion, and one of them is shown beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.cli import animate, check, deploy, parsers
from audio2face.cli.process import open_configuration, run_stage
from audio2face.cli.train import exporter_of
from audio2face.config import Configuration, Roots
from audio2face.console import LOGGER, start_logging
from audio2face.dataset import ActorDataset
from audio2face.dataset.shots import read_phoneme_times
from audio2face.errors import UserError
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.evaluate.lips import ClosureScore, lip_distance, resample_frames, score_closure, score_lips
from audio2face.example.make import STAMP_FILE, make_example
from audio2face.example.unseen import VOICES, emotion_of, unseen_dataset, unseen_folder, unseen_sentences
from audio2face.geometry import PointCache, find_cache, open_cache
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.io.arrays import read_json
from audio2face.io.atomic import write_json
from audio2face.model_folder import DeployedModel
from audio2face.model_folder.network_info import info_class
from audio2face.outputs import write_outputs
from audio2face.preproc.run import preprocess
from audio2face.runs import RunFolder, finished_runs, say_where
from audio2face.training.run import find_resumable_run, train
from audio2face.training.run_folder import TrainingRun
from audio2face.types import FloatArray

BOTH_ACTORS = "quickstart-multi"  # whose data are looked over
RECORD_FILE = "quickstart.json"
FORMATS = ("page", "video", "maya", "arkit", "glb")
_TO_OPEN = {".html": "page (open in a browser)", ".mp4": "video", ".glb": "glTF (Blender, three.js)"}
_LABELS = ("animated from the sound", "true motion")
RESUME_HINT = "Run the same command again: what is whole is kept."


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    config_name = f"quickstart-{parsers.parse('quickstart', argv).network}"
    start_logging()
    datasets = Roots.from_environment().datasets
    make_example(datasets / "example", actors=VOICES)
    status = check.main([BOTH_ACTORS])
    if status != 0:
        return status
    prepared = open_configuration("preproc", config_name, config_file=None)
    actor = prepared.actors[0]
    preprocessed = preprocess(prepared, actor)
    run = _trained(open_configuration("train", config_name, config_file=None), {actor: preprocessed.run.name})
    animated = open_configuration("inference", config_name, config_file=None)
    output = animated.inference.INFERENCE_OUTPUT_ROOT / run.name
    kept = KeptResults(output, _inputs(animated, run))
    _deploy(animated, run, kept)
    results = _animate_unseen(animated, run.name, kept)
    for voice, score in score_quickstart(animated, run.name).items():
        LOGGER.info("unseen sentences in %s's voice: %s", voice, score)
    say_where(
        {
            **results,
            "all animations": output,
            "deployed model": animated.train.FINAL_DEPLOY_ROOT / run.name,
            "training run": run.path,
            "preprocessing report": preprocessed.run.path / "report" / "report.md",
        },
        [
            f"python run_inference.py {config_name} {run.name} --audio YOUR_SPEECH.wav",
            "python run_check.py CONFIG_NAME    # your own data: see README.md",
        ],
    )
    return 0


def _trained(configuration: Configuration, preproc_runs: dict[str, str]) -> RunFolder:
    """A finished run of exactly this configuration and artifacts, or a stopped one that is resumed, or a new one."""
    for run in finished_runs(configuration.train.TRAIN_OUTPUT_ROOT):
        if run.run_name != configuration.train.RUN_NAME:
            continue
        found = TrainingRun.open(run.path)
        same = found.configuration.full["train"] == configuration.full["train"]
        if same and found.preproc["preproc_run_name_full"] == preproc_runs:
            LOGGER.info("unchanged, using training run %s", run.name)
            return run
    stopped = find_resumable_run(configuration, preproc_runs)
    return train(configuration, exporter_of(configuration), resume=None if stopped is None else stopped.name).run


def _inputs(configuration: Configuration, run: RunFolder) -> dict[str, Any]:
    """What the deployed model and its animations depend on."""
    exported = [run.path / "export.json", *sorted((run.path / "deploy").iterdir())]
    stats = {path.name: path.stat() for path in exported}
    examples = configuration.roots.datasets / "example"
    return {
        "run": run.name,
        "exported": {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()},
        "configuration": configuration.full,
        "examples": {voice: read_json(examples / voice / STAMP_FILE) for voice in VOICES},
    }


def _deploy(configuration: Configuration, run: RunFolder, kept: KeptResults) -> None:
    """Deploys the run, unless that was done and the deployed model is whole."""
    target = configuration.train.FINAL_DEPLOY_ROOT / run.name
    if kept.is_whole("deployed model", target):
        LOGGER.info("unchanged, using deployed model %s", run.name)
        return
    deploy.main([configuration.name, run.name, "--force"])
    kept.add("deployed model", target)


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
    names = {path: take_name(path.stem, actor.actor) for path in [*spoken, shown]}
    missing = [path for path in spoken if not kept.is_whole(names[path], output / names[path])]
    plain = ["--format", "maya", "--solver", "none", "--no-blinks"]
    for emotion in sorted({emotion_of(path.stem) for path in missing}):
        recordings = [path for path in missing if emotion_of(path.stem) == emotion]
        words = ["--emotion", emotion, "--audio", *map(str, recordings)]
        animate.main([configuration.name, run, *plain, *words])
        for path in recordings:
            kept.add(names[path], output / names[path])
    if len(missing) < len(spoken):
        LOGGER.info("unchanged, using %d animations in %s", len(spoken) - len(missing), output)
    folder = output / names[shown]
    if not kept.is_whole(names[shown], folder):
        model = configuration.train.FINAL_DEPLOY_ROOT / run
        unseen = unseen_dataset(actor, datasets)
        show_sentence(model, unseen, shown.stem, emotion_of(shown.stem), folder)
        kept.add(names[shown], folder)
    return {"a sentence it has never heard": shown, **files_to_open(folder)}


class KeptResults:
    """The record of whole results. Results of other inputs, or of another version of the code, do not count.

    Args:
        folder: where the record lies; it need not be there yet.
        inputs: all that the results depend on beside the code, as JSON takes it.
    """

    def __init__(self, folder: Path, inputs: Mapping[str, Any]) -> None:
        self._path = folder / RECORD_FILE
        text = json.dumps({**inputs, "code": _code_digest()}, sort_keys=True, default=dict)
        self._inputs = hashlib.sha256(text.encode()).hexdigest()
        self._files = self._read()

    def is_whole(self, name: str, folder: Path) -> bool:
        """Whether a result of that name was made from these inputs, and its folder holds every file in its size."""
        return name in self._files and self._files[name] == file_sizes(folder)

    def add(self, name: str, folder: Path) -> None:
        """Records a result that has just been made."""
        self._files[name] = file_sizes(folder)
        write_json(self._path, {"inputs": self._inputs, "files": self._files})

    def _read(self) -> dict[str, dict[str, int]]:
        try:
            record = json.loads(self._path.read_text(encoding="utf-8"))
            return dict(record["files"]) if record["inputs"] == self._inputs else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def file_sizes(folder: Path) -> dict[str, int]:
    """The size in bytes of every file of a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _code_digest() -> str:
    """SHA-256 of the framework's code."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def show_sentence(model: Path, dataset: ActorDataset, shot: str, emotion: str, folder: Path) -> None:
    """Animates a sentence with a deployed model.

    Args:
        model: the deployed folder.
        dataset: the actor's data, with the sentence as one of its shots.
        shot: the sentence.
        emotion: in which it is said.
        folder: receives all files, which are called as it is.

    Raises:
        UserError: a file cannot be read or written.
    """
    pipeline = AnimationPipeline(DeployedModel.open(model), AnimationOptions(actor=dataset.actor, emotion=emotion))
    folder.parent.mkdir(parents=True, exist_ok=True)
    animation = pipeline.animate(dataset.audio_path(shot), folder.parent)
    truth = ground_truth_animation(dataset, shot, folder.parent, animation.fps)
    write_outputs(animation, folder, folder.name, FORMATS, truth, _LABELS)
    LOGGER.info("%s: %d frames at %g per second", folder.name, animation.num_frames, animation.fps)


def files_to_open(folder: Path) -> Mapping[str, Path]:
    """The files that `show_sentence` has written for people, by what they are."""
    return {what: folder / f"{folder.name}{suffix}" for suffix, what in _TO_OPEN.items()}


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


if __name__ == "__main__":
    run_stage(main, RESUME_HINT)
