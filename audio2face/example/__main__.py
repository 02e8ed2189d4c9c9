"""Command line of the example dataset: `python -m audio2face.example [ROOT]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from audio2face.console import console, fail
from audio2face.errors import UserError
from audio2face.example.head import IDENTITIES

_EPILOG = """\
The dataset is that of a synthetic person who speaks 44 sentences in five emotions: sound, animation of skin, tongue,
jaw and eyes at 30 fps, blend shapes, and the exact time of every phone. A second actor, ben, says some of them with
another face and voice. It takes half a gigabyte and under a minute, needs no network, and comes out the same each time.
A dataset that is whole already is left alone.

  python -m audio2face.example                      both actors under datasets/example
  python -m audio2face.example /data --actors ada   only ada, as /data/ada
"""


def main() -> None:
    """Makes the dataset where the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m audio2face.example",
        description="Make the example dataset: two actors to try everything on.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "root",
        nargs="?",
        type=Path,
        default=Path("datasets/example"),
        help="folder that gets one folder per actor (default: datasets/example)",
    )
    parser.add_argument(
        "--actors", nargs="+", choices=IDENTITIES, default=IDENTITIES, help="which to make (default: all)"
    )
    arguments = parser.parse_args()
    try:
        # Here, so that a missing package of the extra is reported like any other mistake.
        from audio2face.example.make import make_example

        folders = make_example(arguments.root, actors=arguments.actors)
    except UserError as error:
        fail(error)
    for folder in folders:
        console().print(f"{folder} is ready")


if __name__ == "__main__":
    main()
