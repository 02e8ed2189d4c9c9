"""Shows what a rig has: its shapes under ARKit's names, how it was placed, and the vertices that mark lips and lids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from audio2face.cli import parsers
from audio2face.cli.rig_options import find_rig
from audio2face.config import Roots
from audio2face.console import start_logging
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.dataset.vertex_lists import VertexLists, VertexPairs
from audio2face.errors import UserError
from audio2face.export.rig_picture import PICTURE_SUFFIXES, write_rig_picture
from audio2face.extras import require
from audio2face.io.atomic import write_json
from audio2face.rigs import Rig, open_rig
from audio2face.rigs.lists_file import lists_path
from audio2face.runs import log_outputs
from audio2face.types import MM_PER_CM, Float32Array

_PART = "extra_"


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("rig", argv)
    start_logging()
    found = find_rig(args.rig, Roots.from_environment().datasets)
    if args.lists and isinstance(found, str):
        raise UserError("a built-in head has its lists", hint="--lists writes those of a character beside its file.")
    if args.picture is not None:
        require("The picture of a rig", "video", modules=["matplotlib"])
        if Path(args.picture).suffix.lower() not in PICTURE_SUFFIXES:
            raise UserError(
                "does not have the suffix of a picture", path=args.picture, hint="Pictures are .png or .jpg."
            )
    rig = open_rig(found)
    for line in describe_rig(rig):
        print(line)
    written: dict[str, Path] = {}
    if args.lists:
        written["Vertex lists, to correct and use:"] = lists_path(Path(found))
        write_json(lists_path(Path(found)), rig.lists.to_json())
    if args.picture is not None:
        written["Picture:"] = write_rig_picture(rig, Path(args.picture))
    if written:
        log_outputs(written, [])
    return 0


def describe_rig(rig: Rig) -> Iterator[str]:
    """What a rig has, as lines of text."""
    speaks = "visemes" if rig.visemes is not None else f"{len(rig.columns)} of ARKit's {len(ARKIT_NAMES)} shapes"
    height = float(np.ptp(rig.neutral[:, 1]))
    yield f"{rig.source}: {speaks}"
    yield f"  {len(rig.neutral):,} vertices, {len(rig.faces):,} polygons, {height:.1f} cm high"
    for note in rig.notes:
        yield f"  {note}"
    parts = [name[len(_PART) : -len("_vertices")] for name in rig.parts if name.endswith("_vertices")]
    own = [*(["tongue"] if rig.tongue is not None else []), *parts]
    yield f"  parts of their own: {', '.join(name.replace('_', ' ') for name in own) or 'none'}"
    yield ""
    if rig.table is not None:
        yield from rig.table.lines()
        yield ""
    yield from _lists(rig)


def _lists(rig: Rig) -> Iterator[str]:
    """The vertex lists, with what they measure at rest and in a pose."""
    lists = rig.lists
    opened, shut = _weights("jawOpen"), _weights("eyeBlinkLeft", "eyeBlinkRight")
    poses = rig.skin(np.concatenate([np.zeros_like(opened), opened, shut]))
    yield f"{'vertex lists':<22}{'':<12}{'apart at rest':<18}posed"
    yield _measured("lip_dist", lists.lip_dist, poses[0], poses[1], "jawOpen")
    yield _measured("eye_dist", lists.eye_dist, poses[0], poses[2], "eyeBlink")
    for name in ("upper_lip", "lower_lip"):
        lip = None if lists.lip_size is None else getattr(lists.lip_size, name)
        yield _measured(f"lip_size {name}", lip, poses[0], poses[1], "jawOpen")
    if rig.tongue is not None:
        yield _root(lists, len(rig.tongue.neutral))
    turned = rig.jaw(opened)[0]
    degrees = np.degrees(np.arccos(np.clip((np.trace(turned[:3, :3]) - 1) / 2, -1, 1)))
    yield f"{'jaw':<22}{len(rig.jaw_points)} points, turned by {degrees:.0f} degrees with jawOpen"


def _weights(*shapes: str) -> Float32Array:
    weights = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    weights[0, [ARKIT_INDEX[name] for name in shapes]] = 1
    return weights


def _measured(name: str, pairs: VertexPairs | None, rest: Float32Array, posed: Float32Array, shape: str) -> str:
    if pairs is None:
        return f"{name:<22}not found: no edges that {shape} moves against each other"
    apart = [MM_PER_CM * np.linalg.norm(points[pairs.upper] - points[pairs.lower], axis=1) for points in (rest, posed)]
    before, after = (f"{gaps.min():.1f} to {gaps.max():.1f} mm" for gaps in apart)
    return f"{name:<22}{f'{len(pairs.upper)} pairs':<12}{before:<18}{after} with {shape}"


def _root(lists: VertexLists, count: int) -> str:
    found = 0 if lists.tongue_rigid is None else len(lists.tongue_rigid)
    return f"{'tongue_rigid':<22}{found} of {count} vertices, its root"
