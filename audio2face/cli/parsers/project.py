"""The command lines of what works on a whole project: a new configuration, and all stages one after the other.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import math

from audio2face.cli.parsers.base import CONFIG_HELP, add_settings, command_parser, identifier

NETWORKS = ("diffusion", "regression", "streaming")
SHELLS = ("bash", "zsh", "tcsh")


def positive(text: str) -> float:
    """A number above 0, or a fraction such as 30000/1001."""
    above, _, below = text.partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if math.isfinite(value) and value > 0:
        return value
    raise argparse.ArgumentTypeError(f"{text!a} is not a number above 0, such as 30 or 30000/1001")


def init() -> argparse.ArgumentParser:
    result = command_parser(
        "init",
        "Writes a configuration for a folder of recordings and animation: configs/NAME. What is not given here is\n"
        "found in the folder, or asked on a terminal.",
        "mary --data datasets/mary\nmary --data datasets/mary --network regression --yes",
    )
    result.add_argument("config_name", metavar="NAME", type=identifier, help="name of the new folder in configs/")
    result.add_argument("--data", metavar="FOLDER", help="the actor's recordings and animation, in any layout")
    result.add_argument(
        "--actor", metavar="NAME", type=identifier, help="the actor's name (default: that of the data folder)"
    )
    result.add_argument(
        "--rate",
        metavar="FPS",
        type=positive,
        help="frames per second of the animation (default: from lengths of recordings and caches)",
    )
    result.add_argument(
        "--network", choices=NETWORKS, help="the kind of network; streaming is for live speech (default: diffusion)"
    )
    result.add_argument(
        "--minutes",
        metavar="N",
        type=positive,
        help="minutes of data that the settings should suit (default: those found)",
    )
    result.add_argument("--yes", action="store_true", help="ask nothing; take what was found")
    result.add_argument("--force", action="store_true", help="replace the files of a configuration of this name")
    return result


def run_all() -> argparse.ArgumentParser:
    result = command_parser(
        "run-all",
        "Goes through all stages: check, preproc, train, deploy, animate. Complete results are reused and stopped\n"
        "stages resume, so the same command continues after an interruption. At the end a page shows a held-out shot\n"
        "beside its ground truth.",
        "my-config --audio speech.wav",
    )
    result.add_argument("config_name", metavar="CONFIG_NAME", type=identifier, help=CONFIG_HELP)
    result.add_argument(
        "--audio",
        metavar="FILE",
        nargs="+",
        action="extend",
        default=[],
        help="recordings to animate at the end: files, folders, globs, or lists @FILE",
    )
    add_settings(result)
    return result


def doctor() -> argparse.ArgumentParser:
    result = command_parser(
        "doctor",
        "Shows what there is to work with: Python, packages, folders, GPU, weights. Exit status: 0 all works or lacks\n"
        "only what is optional, 1 something is broken.",
        "\n--json",
    )
    result.add_argument("--json", action="store_true", help="write JSON, for programs")
    return result


def completion() -> argparse.ArgumentParser:
    result = command_parser(
        "completion",
        "Prints a script by which a shell completes commands, options, configurations and runs. To use it:\n"
        "  bash: audio2face completion bash > ~/.local/share/bash-completion/completions/audio2face\n"
        "  zsh:  audio2face completion zsh > a folder of $fpath, as _audio2face\n"
        "  tcsh: audio2face completion tcsh >> ~/.cshrc",
        "bash",
    )
    result.add_argument("shell", choices=SHELLS, help="the shell")
    return result
