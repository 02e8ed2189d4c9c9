"""From nothing to a face that speaks a sentence it has never heard; the host script run_quickstart.py starts it."""

from __future__ import annotations

from pathlib import Path

from audio2face.config import Configuration, Roots
from audio2face.console import LOGGER, start_logging
from audio2face.dataset import ActorDataset
from audio2face.dataset.example.make import make_example
from audio2face.preproc.run import preprocess
from audio2face.runs import RunFolder, finished_runs, say_where
from audio2face.training.run import train
from audio2face.training.training_run import TrainingRun
from runners import run_check, run_deploy, run_inference
from runners.common import open_configuration, run_stage
from runners.quickstart_score import VOICES, emotion_of, score_quickstart, take_name, unseen_sentences
from runners.quickstart_show import show_sentence, unseen_dataset
from runners.run_train import exporter_of
from tools import arguments

BOTH_ACTORS = "quickstart-multi"  # whose data are looked over


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    config_name = f"quickstart-{arguments.parse('quickstart', argv).network}"
    start_logging()
    datasets = Roots.from_environment().datasets
    make_example(datasets / "example", actors=VOICES)
    status = run_check.main([BOTH_ACTORS])
    if status != 0:
        return status
    prepared = open_configuration("preproc", config_name, config_file=None)
    actor = prepared.actors[0]
    preprocessed = preprocess(prepared, actor)
    run = _trained(open_configuration("train", config_name, config_file=None), {actor: preprocessed.run.name})
    run_deploy.main([config_name, run.name, "--force"])
    animated = open_configuration("inference", config_name, config_file=None)
    output, results = _animate_unseen(animated, run.name)
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
    """A finished run of exactly this configuration on exactly these artifacts, or a new one."""
    for run in finished_runs(configuration.train.TRAIN_OUTPUT_ROOT):
        if run.run_name != configuration.train.RUN_NAME:
            continue
        found = TrainingRun.open(run.path)
        same = found.configuration.full["train"] == configuration.full["train"]
        if same and found.preproc["preproc_run_name_full"] == preproc_runs:
            LOGGER.info("unchanged, using training run %s", run.name)
            return run
    return train(configuration, exporter_of(configuration)).run


def _animate_unseen(configuration: Configuration, run: str) -> tuple[Path, dict[str, Path]]:
    """Animates all sentences that training has not heard, in both voices, and shows one beside its true motion.

    Returns:
        The folder of all animations, and what to open of the one that is shown.
    """
    datasets = configuration.roots.datasets
    spoken = [path for voice in VOICES for path in unseen_sentences(datasets, voice)]
    plain = ["--format", "maya", "--solver", "none", "--no-blinks"]
    for emotion in sorted({emotion_of(path.stem) for path in spoken}):
        recordings = [str(path) for path in spoken if emotion_of(path.stem) == emotion]
        run_inference.main([configuration.name, run, *plain, "--emotion", emotion, "--audio", *recordings])
    actor = ActorDataset.open(configuration.actors[0], configuration.dataset)
    shown = unseen_sentences(datasets, actor.actor)[-1]
    output = configuration.inference.INFERENCE_OUTPUT_ROOT / run
    results = show_sentence(
        configuration.train.FINAL_DEPLOY_ROOT / run,
        unseen_dataset(actor, datasets / "example" / actor.actor / "unseen"),
        shown.stem,
        emotion_of(shown.stem),
        output / take_name(shown.stem, actor.actor),
    )
    return output, {"a sentence it has never heard": shown, **results}


if __name__ == "__main__":
    run_stage(main)
