"""The command line of animating live speech for engines.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import math
import re

from audio2face.cli.parsers.base import add_parameters, add_precision, command_parser, identifier, seed

_LOCAL = "127.0.0.1"


def live() -> argparse.ArgumentParser:
    result = command_parser(
        "live",
        "Animates a face while somebody speaks, and sends each frame to engines when it is due: as OSC, as the app "
        "Live Link Face does, or over a websocket. Speech comes from a microphone, or from a recording that is played "
        "by the clock. Ctrl-C ends it: the mouth closes, and a summary is shown.\n"
        "A network of the type streaming shows speech after a tenth of a second; the others take up to a second.",
        "latest --microphone --livelink 192.168.1.20\n"
        "models/mary --audio speech.wav --osc 127.0.0.1:9000\n"
        "mary --microphone USB --osc 127.0.0.1:9000 --websocket 8765",
    )
    result.add_argument(
        "model",
        metavar="MODEL",
        help="a deployed model whose blend shapes are ARKit's: a folder, or a name in workspace/output_deploy (the end "
        "or a part of it, or 'latest')",
    )
    _add_speech(result)
    _add_targets(result)
    _add_face(result)
    return result


def _add_speech(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("speech")
    speech = group.add_mutually_exclusive_group(required=True)
    speech.add_argument(
        "--microphone",
        metavar="NAME",
        nargs="?",
        const="",
        help="a microphone: a part of its name, or its number (default: the system's)",
    )
    speech.add_argument("--audio", metavar="FILE", help="a recording, or a film with sound")
    group.add_argument("--loop", action="store_true", help="play the recording again and again, until Ctrl-C")
    group.add_argument(
        "--slack",
        metavar="SECONDS",
        type=_slack,
        default=0.04,
        help="how late sound may arrive; frames wait that much longer (default: 0.04)",
    )


def _add_targets(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where frames go (at least one)")
    group.add_argument(
        "--osc",
        metavar="HOST:PORT",
        type=_endpoint,
        help="an OSC receiver, such as Unity, VRChat (port 9000), TouchDesigner: one float for each shape",
    )
    group.add_argument(
        "--osc-prefix",
        metavar="PREFIX",
        type=_prefix,
        default="/face/",
        help="what stands before the names of shapes in addresses, such as /avatar/parameters/ for VRChat (default: "
        "/face/, as in /face/jawOpen)",
    )
    group.add_argument(
        "--livelink",
        metavar="HOST[:PORT]",
        type=_unreal,
        help="Unreal Engine, in place of a phone with Live Link Face (default port: 11111)",
    )
    group.add_argument(
        "--subject",
        metavar="NAME",
        type=identifier,
        help="name of the subject in Unreal (default: the actor's)",
    )
    group.add_argument(
        "--websocket",
        metavar="[HOST:]PORT",
        type=_listener,
        help="serve pages and programs that connect to ws://HOST:PORT (default host: 127.0.0.1, this machine alone)",
    )


def _add_face(parser: argparse.ArgumentParser) -> None:
    face = parser.add_argument_group("actor, emotion and animation parameters")
    face.add_argument("--actor", metavar="NAME", type=identifier, help="the actor (default: the model's only one)")
    face.add_argument(
        "--emotion",
        metavar="NAME",
        help="joy, or joy=0.7,anger=0.2, or a .csv or .json file of keys over time (default: the model's own)",
    )
    add_parameters(face)
    face.add_argument("--no-blinks", action="store_true", help="add no blinks")
    face.add_argument("--seed", type=seed, default=0, help="seed of noise and blinks (default: 0)")
    face.add_argument(
        "--device", choices=("auto", "cuda", "cpu"), default="auto", help="device of the network (default: auto)"
    )
    add_precision(face)


def check_live(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Frames go somewhere, and options of what is not used are mistakes."""
    if args.osc is None and args.livelink is None and args.websocket is None:
        parser.error("give at least one of --osc, --livelink and --websocket")
    if args.loop and args.audio is None:
        parser.error("argument --loop: only a recording (--audio) is played again")
    if args.subject is not None and args.livelink is None:
        parser.error("argument --subject: only --livelink has subjects")
    if args.osc_prefix != parser.get_default("osc_prefix") and args.osc is None:
        parser.error("argument --osc-prefix: only --osc has addresses")


def _endpoint(text: str) -> tuple[str, int]:
    """HOST:PORT; an IPv6 address is in brackets."""
    match = re.fullmatch(
        r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\[\]:\s]+)):(?P<port>[0-9]{1,5})", text, re.ASCII
    )
    if match is None or not 0 < int(match["port"]) < 65536:
        raise argparse.ArgumentTypeError(f"{text!a} is not HOST:PORT, such as 127.0.0.1:9000")
    return match["six"] or match["name"], int(match["port"])


def _unreal(text: str) -> tuple[str, int]:
    return _endpoint(text if re.search(r":[0-9]+$", text) else f"{text}:11111")


def _listener(text: str) -> tuple[str, int]:
    return _endpoint(f"{_LOCAL}:{text}" if text.isdecimal() else text)


def _prefix(text: str) -> str:
    # OSC's reserved characters cannot stand in an address.
    if re.fullmatch(r"/[!-~]*", text) and not re.search(r"[#*,?\[\]{}]", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!a} is not the start of an OSC address, such as /face/")


def _slack(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if 0.001 <= value <= 1:
        return value
    raise argparse.ArgumentTypeError(f"{text!a} is not a number of seconds from 0.001 to 1")
