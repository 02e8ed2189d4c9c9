"""From nothing to a face that speaks a sentence it has never heard; the host script run_quickstart.py starts it."""

from __future__ import annotations

from pathlib import Path

from audio2face.config import Configuration, InferenceDiffusion, Roots
from audio2face.console import LOGGER, start_logging
from audio2face.dataset import ActorDataset
from audio2face.dataset.example.make import make_example
from audio2face.preproc.run import preprocess
from audio2face.runs import RunFolder, finished_runs, say_where
from audio2face.training.run import train
from audio2face.training.training_run import TrainingRun
from runners import run_check, run_deploy, run_inference
from runners.common import open_configuration, run_stage
from runners.quickstart_score import score_unseen
from runners.quickstart_show import show_sentence, unseen_dataset
from runners.run_train import exporter_of
from tools import arguments

BOTH_ACTORS = "quickstart-multi"
ONE_ACTOR = "quickstart-diffusion"
VOICES = ("ada", "ben")


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    arguments.parse("quickstart", argv)
    start_logging()
    folders = dict(zip(VOICES, make_example(Roots.from_environment().datasets / "example", actors=VOICES), strict=True))
    status = run_check.main([BOTH_ACTORS])
    if status != 0:
        return status
    prepared = open_configuration("preproc", ONE_ACTOR, config_file=None)
    actor = prepared.actors[0]
    preprocessed = preprocess(prepared, actor)
    run = _trained(open_configuration("train", ONE_ACTOR, config_file=None), {actor: preprocessed.run.name})
    run_deploy.main([ONE_ACTOR, run.name, "--force"])
    sentences = {voice: sorted((folders[voice] / "unseen" / "audio").glob("*.wav")) for voice in VOICES}
    spoken = [path for paths in sentences.values() for path in paths]
    for emotion in sorted({_emotion(path.stem) for path in spoken}):
        recordings = [str(path) for path in spoken if _emotion(path.stem) == emotion]
        raw = ["--raw-only", "--output", "maya", "--mode", "offline", "--compare", "streaming"]
        run_inference.main([ONE_ACTOR, run.name, *raw, "--emotion", emotion, "--audio", *recordings])
    animated = open_configuration("inference", ONE_ACTOR, config_file=None)
    assert isinstance(animated.inference, InferenceDiffusion)
    output = animated.inference.INFERENCE_OUTPUT_ROOT / run.name
    model = animated.train.FINAL_DEPLOY_ROOT / run.name
    unseen = folders[actor] / "unseen"
    _say_scores(animated, output, unseen, sentences)
    shown = sentences[actor][-1]
    dataset = unseen_dataset(ActorDataset.open(actor, animated.dataset), unseen)
    results = show_sentence(model, dataset, shown.stem, _emotion(shown.stem), output)
    say_where(
        {
            "a sentence it has never heard": shown,
            **results,
            "raw output of the network": output,
            "deployed model": model,
            "training run": run.path,
            "preprocessing report": preprocessed.run.path / "report" / "report.md",
        },
        [
            f"python run_inference.py {ONE_ACTOR} {run.name} --audio YOUR_SPEECH.wav",
            "python run_check.py CONFIG_NAME    (your own data: see README.md)",
        ],
    )
    return 0


def _trained(configuration: Configuration, preproc_runs: dict[str, str]) -> RunFolder:
    """A finished run of exactly this configuration on exactly these artifacts, or a new one."""
    for run in finished_runs(configuration.train.TRAIN_OUTPUT_ROOT):
        if not run.name.endswith(f"_{configuration.train.RUN_NAME}"):
            continue
        found = TrainingRun.open(run.path)
        same = found.configuration.full["train"] == configuration.full["train"]
        if same and found.preproc["preproc_run_name_full"] == preproc_runs:
            LOGGER.info("unchanged, using training run %s", run.name)
            return run
    return train(configuration, exporter_of(configuration)).run


def _say_scores(configuration: Configuration, output: Path, unseen: Path, sentences: dict[str, list[Path]]) -> None:
    """Prints, for each voice, how near the animation is to the true motion; ada's motion is the truth of both."""
    dataset = ActorDataset.open(configuration.actors[0], configuration.dataset)
    fps = float(configuration.train.TARGET_FPS)
    for voice, paths in sentences.items():
        animations = [(_animation(output, path.stem), _own(path.stem, dataset)) for path in paths]
        score = score_unseen(dataset, unseen, animations, fps)
        LOGGER.info(
            "unseen sentences in %s's voice: lip distance correlates %.2f with the truth, worst lip vertex off by "
            "%.1f mm, lips meet on %d of %d p, b, m (in the true motion on %d)",
            voice,
            score.correlation,
            score.error_mm,
            score.closure.closed,
            score.closure.phones,
            score.true_closure.closed,
        )


def _animation(output: Path, sentence: str) -> Path:
    """The skin cache of a sentence."""
    return next(
        path for path in output.glob(f"{sentence}_*_{_emotion(sentence)}_*.xml") if not path.stem.endswith("_tongue")
    )


def _emotion(sentence: str) -> str:
    """The emotion in which a sentence of the example is said: the last word of its name."""
    return sentence.rpartition("_")[2]


def _own(sentence: str, dataset: ActorDataset) -> str:
    """The shot of the animated actor in which the same sentence is said: names differ in the actor only."""
    return f"{dataset.actor}_{sentence.partition('_')[2]}"


if __name__ == "__main__":
    run_stage(main)
