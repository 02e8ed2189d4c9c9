"""Command line of the example dataset: `python -m audio2face.example [ROOT]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from audio2face.console import console, fail
from audio2face.errors import UserError
from audio2face.example.head import IDENTITIES

_EPILOG = """\
The dataset is that of a synthetic person who speaks 44 sentences in five emotions: audio, animation of skin, tongue,
jaw and eyes at 30 fps, blend shapes, and the exact time of every phone. A second actor, ben, speaks some of them with
another face and voice. It takes half a gigabyte and under a minute, needs no network, and is identical on every run.
A complete dataset is left unchanged.

  python -m audio2face.example                      both actors under datasets/example
  python -m audio2face.example /data --actors ada   only ada, as /data/ada
"""


def main() -> None:
    """Creates the dataset in the folder of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m audio2face.example",
        description="Create the example dataset: two actors for first trials.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "root",
        nargs="?",
        type=Path,
        default=Path("datasets/example"),
        help="parent folder of the actors' folders (default: datasets/example)",
    )
    parser.add_argument(
        "--actors", nargs="+", choices=IDENTITIES, default=IDENTITIES, help="actors to create (default: all)"
    )
    arguments = parser.parse_args()
    try:
        # Imported here, so that a missing package of the extra is reported like any other user error.
        from audio2face.example.make import make_example

        folders = make_example(arguments.root, actors=arguments.actors)
    except UserError as error:
        fail(error)
    for folder in folders:
        console().print(f"{folder} is ready")


if __name__ == "__main__":
    main()
