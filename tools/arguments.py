"""The command line of every stage, in one place: host scripts and runners parse the same words.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence

# Forms of an animation, as audio2face.export and audio2face.player know them; a test compares.
FORMATS = ("page", "maya", "pc2", "mdd", "npy", "csv", "arkit", "glb", "usd", "video")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_CONFIG = "name of a folder in configs/, such as example-diffusion"


def identifier(text: str) -> str:
    """A name that is safe as a name of a file (the same rule as audio2face.errors, which hosts cannot import)."""
    if len(text) <= 100 and ".." not in text and _IDENTIFIER.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!a} is not a name: use up to 100 letters, digits, '_', '-' or '.', beginning and ending with a letter, "
        "digit or '_', without '..'"
    )


def _seed(text: str) -> int:
    if re.fullmatch("[0-9]{1,9}", text, re.ASCII):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!a} is not a whole number from 0 to 999999999")


def _name_or_nothing(text: str) -> str:
    """argparse sends the value of an option that was given none through its type as well."""
    return text and identifier(text)


def _count(text: str) -> int:
    if re.fullmatch("[1-9][0-9]{0,2}", text, re.ASCII):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!a} is not a whole number from 1 to 999")


def _parameter(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!a} is not NAME=NUMBER, such as lower_face_strength=1.2") from None


def _setting(text: str) -> str:
    """NAME=VALUE; the configuration knows the names and reads the values."""
    name, equals, _ = text.partition("=")
    if equals and name.strip():
        return text
    raise argparse.ArgumentTypeError(f"{text!a} is not NAME=VALUE, such as NUM_EPOCHS=3")


def parse(stage: str, argv: Sequence[str]) -> argparse.Namespace:
    """Parses the arguments of a stage; ends with status 2 and a message where they are wrong.

    What the tests' parser does not know is kept for pytest, as `pytest_arguments`.
    """
    parser = _PARSERS[stage]()
    if stage in _CHECKED:
        return _CHECKED[stage](parser, argv)
    if stage != "tests":
        return parser.parse_args(argv)
    args, unknown = parser.parse_known_args(argv)
    args.pytest_arguments = unknown
    return args


def _parse_deploy(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Either a run is deployed, or a folder checked."""
    args = parser.parse_args(argv)
    if args.check is None and args.training_run_name_full is None:
        parser.error("give CONFIG_NAME and TRAINING_RUN_NAME_FULL, or --check FOLDER")
    if args.check is not None and (args.config_name or args.export or args.force or args.overrides):
        parser.error("--check takes no other argument")
    return args


def _parse_inference(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Either a training run of a configuration is animated from, or any deployed folder."""
    args = parser.parse_args(argv)
    raw = args.mode or args.output or args.compare or args.condition or args.raw_only
    if args.model is None and args.training_run_name_full is None:
        parser.error("give CONFIG_NAME and TRAINING_RUN_NAME_FULL, or --model FOLDER")
    if args.model is not None and (args.config_name or raw):
        parser.error("--model takes neither CONFIG_NAME nor options of the network's own output")
    return args


def _base(stage: str, description: str, example: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"run_{stage}.py",
        description=description,
        epilog="example:\n  " + example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _configured(stage: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser with the configuration's name, and the file by which the launcher hands the checked result on."""
    result = _base(stage, description, example)
    result.add_argument("config_name", metavar="CONFIG_NAME", type=identifier, help=_CONFIG)
    result.add_argument("--config-file", help=argparse.SUPPRESS)
    _add_settings(result)
    return result


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="NAME=VALUE",
        action="append",
        type=_setting,
        default=[],
        help="a parameter of the configuration for this call, such as NUM_EPOCHS=3 or CACHE_FPS.ada=60; may be given "
        "several times",
    )


def _check() -> argparse.ArgumentParser:
    result = _configured(
        "check",
        "Checks the raw data of a configuration's actors, and reports all faults with their fixes.\n"
        "Exit status: 0 nothing wrong or warnings only, 1 errors, 2 a user error in the configuration or arguments.",
        "python run_check.py quickstart-diffusion ada",
    )
    result.add_argument(
        "actor_names", metavar="ACTOR_NAME", nargs="*", type=identifier, help="actors (default: ACTOR_NAMES)"
    )
    result.add_argument("--json", metavar="FILE", help="also write the findings as JSON ('-': only that, to stdout)")
    result.add_argument(
        "--head-motion-limit",
        metavar="CM",
        type=float,
        help="rigid head motion above this many centimetres is an error",
    )
    return result


def _preproc() -> argparse.ArgumentParser:
    result = _configured(
        "preproc",
        "Stage 1: turns the raw data of actors into what training reads (shapes, coefficients, shot list).",
        "python run_preproc.py quickstart-diffusion ada",
    )
    result.add_argument("actor_names", metavar="ACTOR_NAME", nargs="*", type=identifier, help="one or more actors")
    result.add_argument("--all", action="store_true", help="all actors of ACTOR_NAMES")
    return result


def _train() -> argparse.ArgumentParser:
    result = _configured(
        "train",
        "Stage 2: trains the network of a configuration. Ctrl-C saves and stops; a second one stops at once.",
        "python run_train.py my-config\n  python run_train.py my-config --resume",
    )
    result.add_argument(
        "--resume",
        metavar="RUN",
        nargs="?",
        const="",
        type=_name_or_nothing,
        help="resume a run: the given one, or the configuration's newest unfinished one",
    )
    result.add_argument(
        "--finish", action="store_true", help="with --resume: train no further, export what there is (or once more)"
    )
    result.add_argument(
        "--devices",
        metavar="N",
        type=_count,
        default=1,
        help="processes that train together on this machine, one on each GPU (default: 1); several machines: see docs",
    )
    return result


def _run_of(stage: str, description: str, optional: bool = False) -> argparse.ArgumentParser:
    """A parser with a configuration and a training run; `optional` where another argument may stand for both."""
    result = _base(stage, description, f"python run_{stage}.py my-config 261123_101500_my-run")
    count = "?" if optional else None
    result.add_argument("config_name", metavar="CONFIG_NAME", type=identifier, nargs=count, help=_CONFIG)
    result.add_argument(
        "training_run_name_full",
        metavar="TRAINING_RUN_NAME_FULL",
        type=identifier,
        nargs=count,
        help="name of a folder in workspace/output_train, as training printed it at its end",
    )
    result.add_argument("--config-file", help=argparse.SUPPRESS)
    return result


def _deploy() -> argparse.ArgumentParser:
    result = _run_of(
        "deploy",
        "Stage 3: packs a trained network into a model folder for Maya-ACE and the SDK. With --check, reports the\n"
        "faults of such a folder (exit status: 0 none, 1 errors, 2 a user error in the arguments).",
        optional=True,
    )
    result.add_argument(
        "--export", action="store_true", help="first export the run's weights anew, sampled as the configuration says"
    )
    result.add_argument("--force", action="store_true", help="replace the model folder where there is one")
    _add_settings(result)
    result.add_argument("--check", metavar="FOLDER", help="only check a model folder, of any origin")
    return result


def _inference() -> argparse.ArgumentParser:
    result = _run_of(
        "inference",
        "Stage 4: animates a face from speech. Writes the finished animation of a deployed model (run_deploy.py), a\n"
        "folder for each recording; what is not given here is taken from config_inference.py. Needs no GPU.",
        optional=True,
    )
    result.add_argument(
        "--model", metavar="FOLDER", help="a deployed model, in place of CONFIG_NAME and TRAINING_RUN_NAME_FULL"
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
        type=_parameter,
        default=[],
        help="an animation parameter, such as lower_face_strength=1.2; may be given several times",
    )
    face.add_argument("--no-blinks", action="store_true", help="the face does not blink")
    face.add_argument(
        "--normalize", action="store_true", help="bring each recording to full scale first (for quiet ones)"
    )
    face.add_argument("--seed", type=_seed, default=0, help="chooses noise and blinks (default: 0)")
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


def _quickstart() -> argparse.ArgumentParser:
    result = _base(
        "quickstart",
        "Makes the example actors (two heads that speak) and runs the stages on them, from nothing.\n"
        "Work that is already whole is kept: a second call takes seconds.",
        "python3 run_quickstart.py\n  python3 run_quickstart.py --network regression",
    )
    result.add_argument(
        "--network",
        choices=("diffusion", "regression"),
        default="diffusion",
        help="the kind of network that learns (default: diffusion)",
    )
    return result


def _tests() -> argparse.ArgumentParser:
    result = _base(
        "tests",
        "Runs the tests. Arguments that are not listed here go to pytest (-k NAME, -x, a file, ...).",
        "python3 run_tests.py tests/geometry -x",
    )
    result.add_argument("--slow", action="store_true", help="also the tests that take long")
    return result


_CHECKED: dict[str, Callable[[argparse.ArgumentParser, Sequence[str]], argparse.Namespace]] = {
    "deploy": _parse_deploy,
    "inference": _parse_inference,
}
_PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "check": _check,
    "preproc": _preproc,
    "train": _train,
    "deploy": _deploy,
    "inference": _inference,
    "quickstart": _quickstart,
    "tests": _tests,
}
