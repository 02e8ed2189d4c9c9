"""The command line of animating recordings.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse

from audio2face.cli.parsers.base import identifier, parameter, run_parser, seed, take_run

# Forms of an animation, as audio2face.export and audio2face.player know them; a test compares.
FORMATS = ("page", "maya", "pc2", "mdd", "npy", "csv", "arkit", "glb", "usd", "video")


def animate() -> argparse.ArgumentParser:
    result = run_parser(
        "inference",
        "Stage 4: animates a face from speech. Writes the finished animation of a deployed model (run_deploy.py), a\n"
        "folder for each recording; what is not given here is taken from config_inference.py. Needs no GPU.",
        optional=True,
    )
    result.add_argument(
        "--model",
        metavar="FOLDER",
        help="a deployed model, in place of CONFIG_NAME and TRAINING_RUN_NAME_FULL: a folder, or a name in "
        "workspace/output_deploy (the end or a part of it, or 'latest')",
    )
    result.add_argument(
        "--audio",
        metavar="FILE",
        nargs="+",
        action="extend",
        help="recordings to animate; relative paths also start from the datasets folder (default: AUDIO_PATH)",
    )
    _add_face(result)
    _add_result(result)
    _add_raw(result)
    return result


def _add_face(parser: argparse.ArgumentParser) -> None:
    face = parser.add_argument_group("whose face, and how it speaks")
    face.add_argument("--actor", metavar="NAME", type=identifier, help="whose face moves (default: ACTOR_NAME)")
    face.add_argument(
        "--emotion",
        metavar="NAME",
        help="joy, or joy=0.7,anger=0.2, or a .csv or .json file of keys over time (default: EMOTION_LABEL, else the "
        "model's own)",
    )
    face.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        type=parameter,
        default=[],
        help="an animation parameter, such as lower_face_strength=1.2; may be given several times",
    )
    face.add_argument("--no-blinks", action="store_true", help="the face does not blink")
    face.add_argument(
        "--normalize", action="store_true", help="bring each recording to full scale first (for quiet ones)"
    )
    face.add_argument("--seed", type=seed, default=0, help="chooses noise and blinks (default: 0)")
    face.add_argument(
        "--device", choices=("auto", "cuda", "mps", "cpu"), default="auto", help="what to calculate on (default: auto)"
    )


def _add_result(parser: argparse.ArgumentParser) -> None:
    written = parser.add_argument_group("what is written")
    written.add_argument(
        "--format",
        metavar="FORMAT",
        choices=FORMATS,
        nargs="+",
        action="extend",
        help="forms of the animation: {} (default: page maya, and arkit where the actor has blend shapes)".format(
            " ".join(FORMATS)
        ),
    )
    written.add_argument("--fps", help="frames per second, such as 24 or 30000/1001 (default: the model's own)")
    written.add_argument(
        "--solver",
        choices=("cpu", "admm", "qp", "none"),
        default="cpu",
        help="how weights of blend shapes are found: as the SDK does (cpu, admm), nearest to the face (qp), or not",
    )
    written.add_argument(
        "--compare-with",
        metavar="MODEL",
        help="show a second model beside it in page and video: a deployed folder or training run, or 'truth', the "
        "dataset's own motion of these recordings",
    )
    written.add_argument(
        "--to", metavar="FOLDER", help="where folders of recordings go (default: INFERENCE_OUTPUT_ROOT)"
    )


def _add_raw(parser: argparse.ArgumentParser) -> None:
    raw = parser.add_argument_group(
        "the network's own output",
        "Written beside the animation, as the reference framework does, where one of these is given or INFERENCE_MODE "
        "is configured; by PyTorch, from the training run.",
    )
    raw.add_argument(
        "--mode",
        help="offline, streaming, streaming_stateless_onnx, ... (default: INFERENCE_MODE); of a regression network all "
        "are one, by torch or, where the name ends in _onnx, as exported",
    )
    raw.add_argument(
        "--output",
        choices=("maya", "npy"),
        nargs="+",
        help="what to write (default: OUTPUT_MAYA_CACHE, OUTPUT_NPY_FILE)",
    )
    raw.add_argument("--compare", metavar="MODE", help="also run another mode, and tell how far apart the two are")
    raw.add_argument(
        "--condition",
        metavar="NAME",
        type=identifier,
        help="whose way of speaking it is (default: the actor given with --actor, else CONDITION)",
    )
    raw.add_argument("--raw-only", action="store_true", help="write nothing else")


def check_animate(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Either a training run of a configuration is animated from, or any deployed folder."""
    raw = args.mode or args.output or args.compare or args.condition or args.raw_only
    take_run(args)
    if args.model is None and args.training_run_name_full is None:
        parser.error("give CONFIG_NAME and TRAINING_RUN_NAME_FULL, or --model FOLDER")
    if args.model is not None and (args.training_run_name_full or raw):
        parser.error("--model takes neither CONFIG_NAME nor options of the network's own output")
