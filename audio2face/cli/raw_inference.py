"""The network's own output as the reference framework writes it, by PyTorch, from a training run.

Loads torch: `run_inference` imports this module only where such output is asked for.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from audio2face.cli.inference_options import parse_rate
from audio2face.config import Configuration, InferenceDiffusion, InferenceRegression
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.families import FAMILIES, resolve
from audio2face.inference.actor import exact_rate
from audio2face.models.diffusion.process import make_noise_schedule
from audio2face.training.inference.animate import (
    DEFAULT_MODE,
    Mode,
    RawInference,
    RawNetwork,
    RawOptions,
    SamplingOptions,
)
from audio2face.training.inference.diffusion import RawDiffusion, TrainedDiffusion
from audio2face.training.inference.regression import RawRegression, TrainedRegression


def open_raw_inference(configuration: Configuration, run_name: str, args: argparse.Namespace) -> RawInference:
    """Opens a training run to write its raw output.

    Raises:
        UserError: there is no such run, it holds another type of network or one without raw output, or an option does
            not fit the network.
    """
    kind = str(configuration.network_type)
    reference = FAMILIES[kind].raw_output
    if reference is None:
        known = [name for name, family in FAMILIES.items() if family.raw_output is not None]
        raise UserError(f"a {kind} network has no output of its own to write", hint=f"These have: {', '.join(known)}.")
    network: RawNetwork = resolve(reference)(configuration, configuration.train.TRAIN_OUTPUT_ROOT / run_name, args)
    return RawInference(network)


def open_diffusion(configuration: Configuration, run: Path, args: argparse.Namespace) -> RawDiffusion:
    """Opens a diffusion run with the options of the command line."""
    model = TrainedDiffusion.open(run)
    inference = configuration.section("inference", InferenceDiffusion)
    return RawDiffusion(model, _diffusion_options(model, inference, args))


def open_regression(configuration: Configuration, run: Path, args: argparse.Namespace) -> RawRegression:
    """Opens a regression run with the options of the command line."""
    model = TrainedRegression.open(run)
    inference = configuration.section("inference", InferenceRegression)
    return RawRegression(model, _regression_options(model, inference, args))


def animate_raw(inference: RawInference, path: Path, folder: Path) -> None:
    """Writes the raw output of a recording, and logs the files."""
    options = inference.options
    LOGGER.info("%s: %s", path.name, inference.network.summary)
    done = inference.animate(path, folder)
    LOGGER.info("wrote %s", ", ".join(file.name for file in done.files))
    if done.difference is not None and options.compared_with is not None:
        LOGGER.info("%s and %s differ by %s", options.mode.name, options.compared_with.name, done.difference)


def next_steps(inference: RawInference, again: str) -> list[str]:
    """Suggestions for using the raw output that the command `again` writes."""
    options, steps = inference.options, []
    if options.maya:
        steps.append("in Maya: import the .xml as a geometry cache of the neutral mesh")
    if options.compared_with is None:
        other, distance = inference.network.counterpart
        steps.append(f"{again} --compare {other}    # how far {distance} are apart")
    return steps


def _diffusion_options(model: TrainedDiffusion, inference: InferenceDiffusion, args: argparse.Namespace) -> RawOptions:
    """Options of the command line over those of the configuration.

    Raises:
        UserError: the network has no such actor, condition, emotion or mode, or has several actors and none is named.
    """
    mode = Mode.parse(args.mode or inference.INFERENCE_MODE or DEFAULT_MODE)
    actor = args.actor or inference.ACTOR_NAME or (model.actors[0] if len(model.actors) == 1 else None)
    if actor is None:
        raise UserError("the model has several actors", hint=f"Give --actor or ACTOR_NAME: {', '.join(model.actors)}.")
    condition = args.condition or args.actor or inference.CONDITION or actor
    emotion = args.emotion or inference.EMOTION_LABEL or model.train.DEFAULT_SHOT_EMOTION_NAME
    model.emotions.index(emotion)  # raises for an unknown one before anything is loaded
    train = model.train
    schedule = make_noise_schedule(train.DIFFUSION_NOISE_SCHEDULE, train.DIFFUSION_STEPS, inference.TIMESTEP_RESPACING)
    maya = inference.OUTPUT_MAYA_CACHE if args.output is None else "maya" in args.output
    npy = inference.OUTPUT_NPY_FILE if args.output is None else "npy" in args.output
    if not (maya or npy):
        raise UserError("nothing would be written", hint="Give --output, OUTPUT_MAYA_CACHE or OUTPUT_NPY_FILE.")
    return RawOptions(
        actor=model.check_actor(actor, "ACTOR_NAME (--actor)"),
        condition=model.check_actor(condition, "CONDITION (--condition)"),
        emotion=emotion,
        mode=mode,
        sampling=SamplingOptions(schedule, inference.SKIP_STEPS, inference.USE_DDIM),
        seed=args.seed,
        noise_path=inference.DETERMINISTIC_NOISE_PATH,
        device=args.device,
        maya=maya,
        npy=npy,
        compared_with=None if args.compare is None else Mode.parse(args.compare),
    )


def _regression_options(
    model: TrainedRegression, inference: InferenceRegression, args: argparse.Namespace
) -> RawOptions:
    """Options of the command line over those of the configuration; the frame rate is the recorded one by default.

    Raises:
        UserError: the network has no such actor, emotion or mode.
    """
    actor = model.check_actor(args.actor or inference.ACTOR_NAME or model.actor, "ACTOR_NAME (--actor)")
    model.check_actor(args.condition or actor, "--condition")
    recorded = model.run.configuration.dataset.CACHE_FPS[actor]
    config = inference.CONFIG
    return RawOptions(
        actor=actor,
        emotion=args.emotion or inference.EMOTION_LABEL or model.train.DEFAULT_SHOT_EMOTION_NAME,
        mode=Mode.parse(args.mode or DEFAULT_MODE),
        fps=exact_rate(recorded) if args.fps is None else parse_rate(args.fps),
        source=(config["source_shot"], config["source_frame"]),
        gain=config["input_strength"],
        device=args.device,
        maya=args.output is None or "maya" in args.output,
        npy=args.output is not None and "npy" in args.output,
        compared_with=None if args.compare is None else Mode.parse(args.compare),
    )
