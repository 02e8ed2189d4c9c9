"""Animates recordings with a trained network; the host script run_inference.py starts it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from audio2face.audio import read_header
from audio2face.config import Configuration, InferenceDiffusion
from audio2face.console import LOGGER, start_logging
from audio2face.errors import UserError
from audio2face.networks.noise_schedule import make_noise_schedule
from audio2face.runs import RunFolder, record, say_where
from audio2face.training.animate import Animator, Wish
from audio2face.training.inference_mode import DEFAULT_MODE, Mode
from audio2face.training.sampling import Sampling
from audio2face.training.trained_model import TrainedModel
from runners.common import open_configuration, run_stage
from tools import arguments


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    args = arguments.parse("inference", argv)
    start_logging()
    configuration = open_configuration("inference", args.config_name, args.config_file)
    inference = configuration.inference
    if not isinstance(inference, InferenceDiffusion):
        raise UserError(
            f"configuration {configuration.name!r} is for a regression network; only diffusion networks are animated "
            "from a training run",
            hint="Deploy it with run_deploy.py and animate with the SDK or Maya-ACE.",
        )
    recordings = _recordings(args.audio, inference, configuration)
    model = TrainedModel.open(configuration.train.TRAIN_OUTPUT_ROOT / args.training_run_name_full)
    animator = Animator(model, make_wish(model, inference, args))
    _refuse_equal_names([animator.name_of(path) for path in recordings])
    folder = RunFolder(_made(inference.INFERENCE_OUTPUT_ROOT / args.training_run_name_full))
    start_logging(folder.path / "log.log")
    record(folder, configuration)
    for path in recordings:
        _animate(animator, path, folder.path)
    say_where({"Animation:": folder.path}, _next_steps(configuration.name, folder.name, animator.wish))
    return 0


def make_wish(model: TrainedModel, inference: InferenceDiffusion, args: argparse.Namespace) -> Wish:
    """What the command line asks for, over what the configuration says.

    Raises:
        UserError: the network does not know the actor, condition, emotion or mode, or it is unclear who is meant.
    """
    mode = Mode.of(args.mode or inference.INFERENCE_MODE or DEFAULT_MODE)
    actor = args.actor or inference.ACTOR_NAME or (model.actors[0] if len(model.actors) == 1 else None)
    if actor is None:
        raise UserError("whose face is to move?", hint=f"Give --actor or ACTOR_NAME: {', '.join(model.actors)}.")
    condition = args.condition or args.actor or inference.CONDITION or actor
    emotion = args.emotion or inference.EMOTION_LABEL or model.train.DEFAULT_SHOT_EMOTION_NAME
    model.emotions.index(emotion)  # refuses an unknown one before anything is loaded
    train = model.train
    schedule = make_noise_schedule(train.DIFFUSION_NOISE_SCHEDULE, train.DIFFUSION_STEPS, inference.TIMESTEP_RESPACING)
    maya = inference.OUTPUT_MAYA_CACHE if args.output is None else "maya" in args.output
    npy = inference.OUTPUT_NPY_FILE if args.output is None else "npy" in args.output
    if not (maya or npy):
        raise UserError("nothing would be written", hint="Give --output, OUTPUT_MAYA_CACHE or OUTPUT_NPY_FILE.")
    return Wish(
        actor=model.check_actor(actor, "ACTOR_NAME (--actor)"),
        condition=model.check_actor(condition, "CONDITION (--condition)"),
        emotion=emotion,
        mode=mode,
        sampling=Sampling(schedule, inference.SKIP_STEPS, inference.USE_DDIM),
        seed=args.seed,
        noise_path=inference.DETERMINISTIC_NOISE_PATH,
        device=args.device,
        maya=maya,
        npy=npy,
        compared_with=None if args.compare is None else Mode.of(args.compare),
    )


def _recordings(given: Sequence[str] | None, inference: InferenceDiffusion, configuration: Configuration) -> list[Path]:
    """The recordings to animate, every one readable as far as its header tells."""
    paths = [inference.AUDIO_PATH] if inference.AUDIO_PATH is not None else []
    if given:
        paths = [
            Path(text) if Path(text).is_file() else configuration.roots.resolve(text, "datasets") for text in given
        ]
    if not paths:
        raise UserError("there is nothing to animate", hint="Give --audio FILE, or AUDIO_PATH in config_inference.py.")
    for path in paths:
        read_header(path)
    return paths


def _refuse_equal_names(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(
            f"two recordings would be written as {twice[0]!r}",
            hint="Animate them one after the other into different INFERENCE_OUTPUT_ROOT folders, or rename one.",
        )


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be made: {error.strerror}", path=folder) from error
    return folder


def _animate(animator: Animator, path: Path, folder: Path) -> None:
    wish = animator.wish
    LOGGER.info("%s: %s speaks as %s, %s, %s", path.name, wish.actor, wish.condition, wish.emotion, wish.mode.name)
    done = animator.animate(path, folder)
    LOGGER.info("wrote %s", ", ".join(file.name for file in done.files))
    if done.difference is not None and wish.compared_with is not None:
        LOGGER.info("%s and %s differ by %s", wish.mode.name, wish.compared_with.name, done.difference)


def _next_steps(config_name: str, run_name: str, wish: Wish) -> list[str]:
    steps = [f"python run_deploy.py {config_name} {run_name}    (a model folder for the SDK and Maya-ACE)"]
    if wish.maya:
        steps.insert(0, "in Maya: import the .xml as a geometry cache of the neutral mesh")
    if wish.compared_with is None:
        other = "offline" if wish.mode.windows else "streaming"
        steps.append(f"the same with --compare {other}    (how far whole and stream are apart)")
    return steps


if __name__ == "__main__":
    run_stage(main, go_on="Run the same command again; files that are listed are whole.")
