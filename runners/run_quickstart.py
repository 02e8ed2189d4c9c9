"""From nothing to a face that speaks a sentence it has never heard; the host script run_quickstart.py starts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audio2face.config import Configuration, Roots
from audio2face.console import LOGGER, start_logging
from audio2face.dataset import ActorDataset
from audio2face.example.make import STAMP_FILE, make_example
from audio2face.io.arrays import read_json
from audio2face.preproc.run import preprocess
from audio2face.runs import RunFolder, finished_runs, say_where
from audio2face.training.run import find_resumable_run, train
from audio2face.training.run_folder import TrainingRun
from runners import run_check, run_deploy, run_inference
from runners.common import open_configuration, run_stage
from runners.quickstart_kept import KeptResults
from runners.quickstart_score import VOICES, emotion_of, score_quickstart, take_name, unseen_sentences
from runners.quickstart_show import files_to_open, show_sentence, unseen_dataset
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
    run_deploy.main([configuration.name, run.name, "--force"])
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
        run_inference.main([configuration.name, run, *plain, *words])
        for path in recordings:
            kept.add(names[path], output / names[path])
    if len(missing) < len(spoken):
        LOGGER.info("unchanged, using %d animations in %s", len(spoken) - len(missing), output)
    folder = output / names[shown]
    if not kept.is_whole(names[shown], folder):
        model = configuration.train.FINAL_DEPLOY_ROOT / run
        unseen = unseen_dataset(actor, datasets / "example" / actor.actor / "unseen")
        show_sentence(model, unseen, shown.stem, emotion_of(shown.stem), folder)
        kept.add(names[shown], folder)
    return {"a sentence it has never heard": shown, **files_to_open(folder)}


if __name__ == "__main__":
    run_stage(main, "Run the same command again: what is whole is kept.")
