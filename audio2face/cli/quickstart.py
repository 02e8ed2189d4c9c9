"""From nothing to a face that speaks an unseen sentence; the host script run_quickstart.py starts it.

Complete results of an earlier call are reused. At the end, animations of sentences that training has not seen are
scored against the example's true motion, and one of them is shown beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from audio2face.cli import animate, parsers, stages
from audio2face.cli.example_report import REPORT_FOLDER, evaluate_example, voice_scores
from audio2face.cli.process import open_configuration, run_stage
from audio2face.cli.reuse import KeptResults, deploy_once, exported_files, files_to_open, show_shot, trained_run
from audio2face.config import Configuration, Roots
from audio2face.console import LOGGER, start_logging
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.evaluator.results import Report
from audio2face.example.make import STAMP_FILE, make_example
from audio2face.example.sentences import VOICES, emotion_of, unseen_dataset, unseen_sentences
from audio2face.io.arrays import read_json
from audio2face.preproc.run import preprocess
from audio2face.runs import RunFolder, log_outputs

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
    report = score_quickstart(animated, run.path)
    for voice, score in voice_scores(report).items():
        LOGGER.info("unseen sentences in %s's voice: %s", voice, score)
    log_outputs(
        {
            **results,
            "all animations": output,
            "deployed model": model,
            "training run": run.path,
            "evaluation (scores beside a linear map)": output / REPORT_FOLDER / "report.html",
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


def animation_name(sentence: str, actor: str) -> str:
    """Name of the folder and the files of a sentence's animation."""
    return f"{sentence}_{actor}_{emotion_of(sentence)}"


def score_quickstart(configuration: Configuration, run: Path) -> Report:
    """Evaluates the run on the unseen sentences in all voices; the trained actor's motion is their ground truth.

    Args:
        configuration: for stage "inference".
        run: the training run.

    Raises:
        UserError: a file cannot be read.
    """
    folder = configuration.inference.INFERENCE_OUTPUT_ROOT / run.name / REPORT_FOLDER
    voices = {configuration.actors[0]: VOICES}
    return evaluate_example(configuration, run, voices, folder, jobs=os.cpu_count() or 1)


if __name__ == "__main__":
    run_stage(main, RESUME_HINT)
