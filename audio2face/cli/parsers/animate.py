"""The command line of animating recordings.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
from typing import Any

from audio2face.cli.parsers.base import (
    add_precision,
    command_parser,
    count,
    identifier,
    parameter,
    run_parser,
    seed,
    setting,
    take_run,
)

# The names of `audio2face.export.FORMATS`, with "page" and "video". A copy, because host scripts parse arguments with
# the standard library only; a test compares the two.
FORMATS = ("page", "maya", "pc2", "mdd", "npy", "csv", "arkit", "glb", "usd", "video")


def animate() -> argparse.ArgumentParser:
    result = run_parser(
        "inference",
        "Stage 4: animates a face from speech. Writes the finished animation of a deployed model (run_deploy.py), a\n"
        "folder for each recording; what is not given here is taken from config_inference.py. Needs no GPU.\n"
        "With --rig, animates any character with ARKit's shapes, without a model and without recordings of it.",
        optional=True,
        more_examples=" --audio speech.wav\n  python run_inference.py --model models/mary --audio takes --jobs 4\n"
        "  python run_inference.py --rig example --audio speech.wav\n"
        "  python run_inference.py --rig character.glb --audio speech.wav --emotion joy=0.5",
    )
    result.add_argument(
        "--model",
        metavar="FOLDER",
        help="a deployed model, in place of CONFIG_NAME and TRAINING_RUN_NAME_FULL: a folder, or a name in "
        "workspace/output_deploy (the end or a part of it, or 'latest')",
    )
    result.add_argument(
        "--rig",
        metavar="RIG",
        help="a face that was never recorded, in place of a model: 'example' or 'example:ben' for a built-in head, or "
        "a character with ARKit's blend shapes or visemes: .glb, .gltf, .vrm, .usd (.usda, .usdc, .usdz), .npz, a "
        "folder of .obj files, or, through Blender, .fbx and .blend",
    )
    _add_recordings(result)
    _add_face(result)
    _add_result(result)
    _add_raw(result)
    return result


def rig() -> argparse.ArgumentParser:
    """The parser of `rig`, which looks at what --rig animates."""
    result = command_parser(
        "rig",
        "Shows what a rig has: its shapes under ARKit's names, what is missing and what that costs, unit and axes,\n"
        "and the vertices that mark lips, lids and tongue, which are found by the motion of the shapes.",
        "character.glb\ncharacters/ict --picture ict.png\nhero.usdz --lists",
    )
    result.add_argument(
        "rig", metavar="RIG", help="as --rig of animate: 'example', or the file or folder of a character"
    )
    result.add_argument(
        "--picture",
        metavar="FILE",
        help="draw the face with the vertices of its lists and their numbers (.png or .jpg)",
    )
    result.add_argument(
        "--lists",
        action="store_true",
        help="write the lists beside the character, as NAME.lists.json; what is corrected there is used from then on",
    )
    return result


def _add_recordings(parser: argparse.ArgumentParser) -> None:
    recordings = parser.add_argument_group("recordings")
    recordings.add_argument(
        "--audio",
        metavar="PATH",
        nargs="+",
        action="extend",
        help="files, folders (searched at any depth, subfolders are kept in the output), patterns such as "
        "'takes/**/*_final.wav' and lists @FILE with one path on each line; relative paths also start from the "
        "datasets folder (default: AUDIO_PATH)",
    )
    recordings.add_argument(
        "--watch",
        metavar="FOLDER",
        help="animate the recordings in a folder and those that appear in it, until Ctrl-C",
    )
    recordings.add_argument(
        "--jobs",
        metavar="N",
        type=count,
        default=1,
        help="processes that animate at the same time, each of which loads the model (default: 1)",
    )
    recordings.add_argument(
        "--force",
        action="store_true",
        help="also animate recordings whose animation is complete and of the same model, settings and recording",
    )


class _AddSetting(argparse.Action):
    """Sorts --set: parameters of the configuration into `overrides`, animation parameters into `parameters`.

    Animation parameters are written in lower case and without dots; `skin_strength` is one, `CONFIG.skin_strength` and
    `inference.SKIP_STEPS` belong to the configuration.
    """

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        name = values.partition("=")[0].strip()
        is_parameter = name == name.lower() and "." not in name
        try:
            value = parameter(values) if is_parameter else values
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        destination = "parameters" if is_parameter else "overrides"
        setattr(namespace, destination, [*getattr(namespace, destination), value])


def _add_face(parser: argparse.ArgumentParser) -> None:
    face = parser.add_argument_group("actor, emotion and animation parameters")
    face.add_argument("--actor", metavar="NAME", type=identifier, help="the actor to animate (default: ACTOR_NAME)")
    face.add_argument(
        "--emotion",
        metavar="NAME",
        help="joy, or joy=0.7,anger=0.2, or a .csv or .json file of keys over time (default: EMOTION_LABEL, else the "
        "model's own)",
    )
    face.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action=_AddSetting,
        type=setting,
        default=argparse.SUPPRESS,
        help="an animation parameter, such as lower_face_strength=1.2, or, for this call, a parameter of the "
        "configuration, such as TIMESTEP_RESPACING=5 (of network output); may be given several times",
    )
    parser.set_defaults(parameters=[], overrides=[])
    face.add_argument("--no-blinks", action="store_true", help="add no blinks")
    face.add_argument(
        "--normalize", action="store_true", help="bring each recording to full scale first (for quiet ones)"
    )
    face.add_argument("--seed", type=seed, default=0, help="seed of noise and blinks (default: 0)")
    face.add_argument(
        "--device", choices=("auto", "cuda", "mps", "cpu"), default="auto", help="device of the network (default: auto)"
    )
    add_precision(face)


def _add_result(parser: argparse.ArgumentParser) -> None:
    written = parser.add_argument_group("output")
    written.add_argument(
        "--format",
        metavar="FORMAT",
        choices=FORMATS,
        nargs="+",
        action="extend",
        help="formats: {} (default: page maya, and arkit where the actor has blend shapes)".format(" ".join(FORMATS)),
    )
    written.add_argument("--fps", help="frames per second, such as 24 or 30000/1001 (default: the model's own)")
    start = written.add_mutually_exclusive_group()
    start.add_argument(
        "--start",
        metavar="TIMECODE",
        help="time code of the first frame, such as 01:00:00:00, or 01:00:00;00 in quotes for drop frame (default: the "
        "time reference of a Broadcast Wave recording)",
    )
    start.add_argument(
        "--start-frame", metavar="N", type=int, help="number of the first frame on the time line, such as 1001"
    )
    written.add_argument(
        "--solver",
        choices=("cpu", "admm", "qp", "none"),
        default="cpu",
        help="solver of blend-shape weights: the SDK's (cpu, admm), the least-squares optimum (qp), or none",
    )
    written.add_argument(
        "--compare-with",
        metavar="MODEL",
        help="show a second animation beside it in page and video: of a deployed folder or training run, or 'truth', "
        "the recorded motion of the dataset",
    )
    written.add_argument("--to", metavar="FOLDER", help="the output folder (default: INFERENCE_OUTPUT_ROOT)")


def _add_raw(parser: argparse.ArgumentParser) -> None:
    raw = parser.add_argument_group(
        "network output",
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
    raw.add_argument("--compare", metavar="MODE", help="also run another mode, and log the difference")
    raw.add_argument(
        "--condition",
        metavar="NAME",
        type=identifier,
        help="the actor whose speaking style is used (default: the actor given with --actor, else CONDITION)",
    )
    raw.add_argument("--raw-only", action="store_true", help="write nothing else")


def check_animate(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Either a training run of a configuration is animated from, or any deployed folder."""
    raw = args.mode or args.output or args.compare or args.condition or args.raw_only
    take_run(args)
    if args.rig is not None:
        _check_rig(parser, args, bool(raw))
    elif args.model is None and args.training_run_name_full is None:
        parser.error("give CONFIG_NAME and TRAINING_RUN_NAME_FULL, or --model FOLDER, or --rig RIG")
    if args.model is not None and (args.training_run_name_full or raw):
        parser.error("--model takes neither CONFIG_NAME nor options of network output")
    if args.model is not None and args.overrides:
        name = args.overrides[0].partition("=")[0].strip()
        parser.error(
            f"argument --set: {name} is a parameter of a configuration, and --model has none; animation parameters are "
            "written in lower case, such as lower_face_strength=1.2"
        )
    if args.watch is not None and args.audio is not None:
        parser.error("argument --watch: not allowed with argument --audio: both name recordings")


def _check_rig(parser: argparse.ArgumentParser, args: argparse.Namespace, raw: bool) -> None:
    """A rig is animated by rules: options of models and of networks do not apply to it."""
    given = {
        "CONFIG_NAME and TRAINING_RUN_NAME_FULL": args.training_run_name_full is not None,
        "--model": args.model is not None,
        "options of network output": raw,
        "--actor": args.actor is not None,
        "--compare-with": args.compare_with is not None,
        "--solver": args.solver != parser.get_default("solver"),
        "--normalize": args.normalize,
        "--device": args.device not in ("auto", "cpu"),
        "--precision": args.precision != parser.get_default("precision"),
    }
    for name, is_given in given.items():
        if is_given:
            parser.error(f"argument --rig: not allowed with {name}: a rig is animated by rules, without a model")
    if args.overrides:
        name = args.overrides[0].partition("=")[0].strip()
        parser.error(
            f"argument --set: {name} is a parameter of a configuration, and --rig has none; parameters of a rig are "
            "written in lower case, such as jaw_strength=1.2"
        )
