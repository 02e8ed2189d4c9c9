"""Command lines of the scripts: the same options for all programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from a2f_dcc.scene import ExportOptions, ImportOptions

_PARTS = (
    ("--tongue", "MESH", "the tongue"),
    ("--jaw", "BONE|MESH", "moves with the lower jaw: Armature:jaw, or a mesh (default: the lower teeth)"),
    ("--head", "BONE|MESH", "moves with the skull only; its motion is taken out (default: the head is still)"),
    ("--lower-teeth", "MESH", "the lower teeth"),
    ("--upper-teeth", "MESH", "the upper teeth"),
    ("--right-eye", "BONE|MESH", "the actor's right eye"),
    ("--left-eye", "BONE|MESH", "the actor's left eye"),
)


def script_arguments(argv: Sequence[str]) -> list[str]:
    """What stands behind `--`: programs take what is before it."""
    return list(argv[argv.index("--") + 1 :]) if "--" in argv else []


def export_parser(program: str) -> argparse.ArgumentParser:
    """The options of an export."""
    result = argparse.ArgumentParser(
        prog=program,
        description="Exports the animation of a face as a raw data set: caches, sound, neutral face, vertex lists, "
        "jaw, eyes and blend shapes, in centimetres, y up, z out of the face.",
    )
    result.add_argument("--actor", required=True, metavar="NAME", help="name of the actor, such as mary")
    result.add_argument("--skin", required=True, metavar="MESH", help="the face")
    for option, value, text in _PARTS:
        result.add_argument(option, metavar=value, help=text)
    result.add_argument(
        "--part", action="append", default=[], metavar="NAME=MESH", help="one more mesh for drawing, such as gums=Gums"
    )
    result.add_argument(
        "--shots",
        nargs="+",
        default=["markers"],
        metavar="SHOT",
        help="markers: a shot from each marker to the next, or to one called 'end' (default); scene: its whole range; "
        "or NAME=FIRST-LAST for each",
    )
    result.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder of the data set (default: datasets/NAME, in this folder)"
    )
    result.add_argument("--add", action="store_true", help="add the shots to the data set that is there")
    result.add_argument(
        "--neutral", default="rest", metavar="FRAME", help="frame of the neutral face (default: rest, no shapes)"
    )
    result.add_argument("--front", default="auto", metavar="AXIS", help="where the face looks to, such as -y")
    result.add_argument(
        "--scale", type=float, metavar="CM", help="centimetres of one unit (default: from the scene's units)"
    )
    result.add_argument(
        "--sound", default="scene", metavar="FILE", help="scene: what plays (default); none; or a WAV file"
    )
    result.add_argument(
        "--sound-start", type=float, metavar="FRAME", help="frame where that file begins (default: the scene's first)"
    )
    result.add_argument(
        "--shapes",
        nargs="*",
        default=["*"],
        metavar="PATTERN",
        help="shapes that become blend shapes, such as 'jaw*' (default: all; nothing behind it: none)",
    )
    return result


def export_options(program: str, argv: Sequence[str]) -> ExportOptions:
    """Reads the options of an export; exits with a message where they are wrong."""
    parser = export_parser(program)
    words = list(argv)
    for place in reversed([place for place, word in enumerate(words[:-1]) if word == "--front"]):
        words[place : place + 2] = [f"--front={words[place + 1]}"]  # -y is an axis here, and looks like an option
    given = vars(parser.parse_args(words))
    parts = [text.partition("=") for text in given.pop("part")]
    if any(not name or not mesh for name, _, mesh in parts):
        parser.error("--part takes NAME=MESH, such as gums=Gums")
    if given["scale"] is not None and not 0 < given["scale"] < float("inf"):
        parser.error("--scale takes a number above 0")
    out = given.pop("out") or Path("datasets") / given["actor"]
    return ExportOptions(out=out.absolute(), parts={name: mesh for name, _, mesh in parts}, **given)


def import_parser(program: str) -> argparse.ArgumentParser:
    """The options of the way back."""
    result = argparse.ArgumentParser(
        prog=program,
        description="Puts an animation that stage 4 wrote onto a face: weights on its shapes, or caches of its "
        "vertices; jaw, eyes and sound.",
    )
    result.add_argument("--result", type=Path, metavar="FOLDER", help="folder of one recording, with animation.json")
    result.add_argument("--weights", type=Path, metavar="FILE", help="weights of another place: .csv or .json")
    result.add_argument("--sound", type=Path, metavar="FILE", help="a recording of another place")
    result.add_argument("--skin", required=True, metavar="MESH", help="the face")
    for option, value, text in _PARTS:
        if option not in ("--head", "--lower-teeth", "--upper-teeth"):
            result.add_argument(option, metavar=value, help=text.partition(" (default")[0])
    result.add_argument(
        "--motion",
        choices=("auto", "weights", "cache"),
        default="auto",
        help="weights where the face has their shapes, else caches (default), or one of both",
    )
    result.add_argument("--start", type=int, metavar="FRAME", help="first frame (default: the scene's)")
    result.add_argument("--fps", type=float, metavar="FPS", help="rate of weights that do not tell theirs")
    result.add_argument("--scale", type=float, metavar="CM", help="centimetres of one unit of the scene")
    result.add_argument("--save", type=Path, metavar="FILE", help="save the scene there")
    return result


def import_options(program: str, argv: Sequence[str]) -> ImportOptions:
    """Reads the options of the way back; exits with a message where they are wrong."""
    parser = import_parser(program)
    options = ImportOptions(**vars(parser.parse_args(argv)))
    if options.result is None and options.weights is None:
        parser.error("give --result FOLDER, or --weights FILE")
    return options
