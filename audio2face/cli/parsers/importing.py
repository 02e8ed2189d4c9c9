"""The command line of importing captures.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse

from audio2face.cli.parsers.base import identifier, new_parser
from audio2face.cli.parsers.project import NETWORKS, positive

# The names of `audio2face.importers.kinds.KINDS`, with what each reads. A copy, because host scripts parse arguments
# with the standard library only; a test compares the two.
IMPORT_KINDS = {
    "livelink": "takes of the Live Link Face app in ARKit mode: folders or CSV files",
    "arkit": "weights of ARKit's shapes: CSV, JSON (Audio2Face's too), .npy, .npz",
    "video": "films of a speaking face, through MediaPipe's face landmarker (--model FILE)",
    "gltf": "animated characters as .glb or .gltf: morph targets and joints",
    "usd": "animated characters as USD: samples of points, UsdSkel shapes and joints",
    "alembic": "animated meshes as Alembic caches, .abc",
    "vertices": "arrays of vertices, as research data sets have them (--layout, --subject)",
}


def importing() -> argparse.ArgumentParser:
    """The parser of `import`."""
    listed = "\n".join(f"  {name:<10}{what}" for name, what in IMPORT_KINDS.items())
    result = new_parser(
        "import",
        "Turns captures of a face into a data set with its configuration, datasets/NAME and configs/NAME.\n"
        "All stages go on from these without an edit. What is written is kept: a later call adds new takes.\n\n"
        f"kinds:\n{listed}",
        "python run_import.py livelink takes/ --name mary\n"
        "  python run_import.py livelink MySlate_1_iPhone.csv --audio MySlate_1.wav --name mary --dry-run\n"
        "  python run_import.py arkit weights.json --audio speech.wav --name mary --rig character.glb\n"
        "  python run_import.py video interview.mp4 --model face_landmarker.task --name mary\n"
        "  python run_import.py gltf shots/ --audio recordings/ --name mary\n"
        "  python run_import.py vertices VOCASET --layout vocaset --subject FaceTalk_170725_00137_TA --name mary\n"
        "  python run_import.py livelink takes/ --name mary --emotion joy --train",
    )
    result.add_argument("kind", metavar="KIND", choices=tuple(IMPORT_KINDS), help="what the sources are, see above")
    result.add_argument("sources", metavar="SOURCE", nargs="+", help="files or folders")
    result.add_argument(
        "--name",
        metavar="NAME",
        type=identifier,
        required=True,
        help="name of data set, actor and configuration",
    )
    _add_capture(result)
    _add_film(result)
    _add_arrays(result)
    _add_result(result)
    return result


def _add_capture(parser: argparse.ArgumentParser) -> None:
    capture = parser.add_argument_group("what was captured")
    capture.add_argument(
        "--audio",
        metavar="PATH",
        help="the recording of the take, or a folder with one of each take's name (default: a film or a recording of "
        "the same name beside it)",
    )
    capture.add_argument(
        "--offset",
        metavar="auto|SECONDS",
        type=offset,
        help="by how much the face moves before the sound: as measured, or in seconds (default: 0; what is measured "
        "is said)",
    )
    capture.add_argument(
        "--emotion",
        metavar="NAME",
        type=identifier,
        help="emotion of all takes (default: a word of each name)",
    )
    capture.add_argument(
        "--fps",
        metavar="N",
        type=positive,
        help="frames per second of sources that do not tell, such as 30",
    )
    capture.add_argument(
        "--rig",
        metavar="RIG",
        default="example",
        help="the face that captured weights move: 'example' or 'example:ben' for a built-in head, or a character with "
        "ARKit's shapes as a file (default: example)",
    )


def _add_film(parser: argparse.ArgumentParser) -> None:
    film = parser.add_argument_group("films (kind video)")
    film.add_argument(
        "--model",
        metavar="FILE",
        help="the network of MediaPipe's face landmarker, face_landmarker.task (a film without it: how to get it)",
    )
    film.add_argument(
        "--smoothing",
        metavar="SECONDS",
        help="width of the filter that removes the jitter of the measurements; closures and blinks keep their values "
        "(default: 0.2; 0: none)",
    )
    film.add_argument(
        "--rest",
        choices=("remove", "keep"),
        help="the shapes of the person's resting face: remove them, so that the rig rests in its own neutral, or keep "
        "them (default: remove)",
    )


def _add_arrays(parser: argparse.ArgumentParser) -> None:
    arrays = parser.add_argument_group("research data sets (kind vertices)")
    arrays.add_argument(
        "--layout",
        metavar="NAME|FILE",
        help="how the data set lies in its folder: vocaset, biwi, biwi_arrays, multiface, coma, or a .toml file "
        "(default: layout.toml in the folder, else one array .npy or .npz for each take)",
    )
    arrays.add_argument("--subject", metavar="NAME", help="whose takes, where the data set has several people")


def _add_result(parser: argparse.ArgumentParser) -> None:
    result = parser.add_argument_group("result")
    result.add_argument("--dry-run", action="store_true", help="show the table of what was found, and write nothing")
    result.add_argument("--network", choices=NETWORKS, default=NETWORKS[0], help="kind of network (default: diffusion)")
    result.add_argument(
        "--train",
        action="store_true",
        help="go on through all stages, to a page that shows a held-out shot beside its truth, and the evaluation",
    )
    result.add_argument(
        "--force", action="store_true", help="replace files of a configuration of this name that were edited"
    )


def offset(text: str) -> str | float:
    """Seconds, or "auto"."""
    if text == "auto":
        return text
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if abs(value) <= 600:
        return value
    raise argparse.ArgumentTypeError(f"{text!a} is neither 'auto' nor a number of seconds up to 600, such as -0.25")
