"""The network's own output as the reference framework writes it, by PyTorch, from a training run.

Loads torch: `run_inference` imports this module only where such output is asked for.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from audio2face.config import Configuration, InferenceDiffusion
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.networks.noise_schedule import make_noise_schedule
from audio2face.training.animate import Animator, Wish
from audio2face.training.inference_mode import DEFAULT_MODE, Mode
from audio2face.training.sampling import Sampling
from audio2face.training.trained_model import TrainedModel


def open_animator(configuration: Configuration, run_name: str, args: argparse.Namespace) -> Animator:
    """What writes the raw output of a training run.

    Raises:
        UserError: there is no such run, it holds no diffusion network, or what is asked of it cannot be done.
    """
    inference = configuration.inference
    if not isinstance(inference, InferenceDiffusion):
        raise UserError(
            f"configuration {configuration.name!r} is for a regression network, which has no such output",
            hint="Leave out --mode, --output, --compare, --condition and --raw-only.",
        )
    model = TrainedModel.open(configuration.train.TRAIN_OUTPUT_ROOT / run_name)
    return Animator(model, _make_wish(model, inference, args))


def animate_raw(animator: Animator, path: Path, folder: Path) -> None:
    """Writes the raw output of a recording, and tells what was written."""
    wish = animator.wish
    LOGGER.info("%s: %s speaks as %s, %s, %s", path.name, wish.actor, wish.condition, wish.emotion, wish.mode.name)
    done = animator.animate(path, folder)
    LOGGER.info("wrote %s", ", ".join(file.name for file in done.files))
    if done.difference is not None and wish.compared_with is not None:
        LOGGER.info("%s and %s differ by %s", wish.mode.name, wish.compared_with.name, done.difference)


def next_steps(animator: Animator) -> list[str]:
    """What can be done with raw output."""
    wish, steps = animator.wish, []
    if wish.maya:
        steps.append("in Maya: import the .xml as a geometry cache of the neutral mesh")
    if wish.compared_with is None:
        other = "offline" if wish.mode.windows else "streaming"
        steps.append(f"the same with --compare {other}    (how far whole and stream are apart)")
    return steps


def _make_wish(model: TrainedModel, inference: InferenceDiffusion, args: argparse.Namespace) -> Wish:
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
