"""Options of run_inference for a rig: what of the command line its animation depends on, and its pipeline."""

from __future__ import annotations

import argparse
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from audio2face.cli.recordings import find_file
from audio2face.errors import MAX_LENGTH
from audio2face.inference.animate import AnimationPipeline
from audio2face.model_folder import model_digest

if TYPE_CHECKING:  # loads in half a second
    from audio2face.rigs import RigPipeline

FacePipeline: TypeAlias = "AnimationPipeline | RigPipeline"


def open_rig_pipeline(args: argparse.Namespace, fps: Fraction | None, datasets: Path) -> RigPipeline:
    """Opens the rig of --rig with the options of the command line; a relative path may start from the datasets folder.

    Raises:
        UserError: there is no such rig, it cannot speak, or an option is invalid.
    """
    from audio2face.rigs import RigOptions, RigPipeline, open_rig

    options = RigOptions(
        emotion=args.emotion,
        fps=fps,
        parameters=dict(args.parameters),
        seed=args.seed,
        blinks=not args.no_blinks,
        start=args.start if args.start_frame is None else args.start_frame,
    )
    return RigPipeline(open_rig(find_rig(args.rig, datasets)), options)


def find_rig(rig: str, datasets: Path) -> str | Path:
    """What --rig names: a built-in head, or a path that may start from the datasets folder."""
    from audio2face.rigs.opening import BUILT_IN

    return rig if rig.partition(":")[0] == BUILT_IN else find_file(rig, datasets)


def rig_folder(rig: str) -> str:
    """Name of the output folder of a rig, such as `rig_example` or `rig_hero` of `characters/hero.glb`."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(rig).stem).strip("-")
    return f"rig_{plain[:MAX_LENGTH]}"


def load_network(pipeline: FacePipeline) -> None:
    """Loads the network of a pipeline now, so that an error shows before anything is written.

    Raises:
        UserError: it is missing or damaged, or the device is not there.
    """
    if isinstance(pipeline, AnimationPipeline):
        _ = pipeline.graph
    else:
        pipeline.load()


def face_digest(pipeline: FacePipeline) -> str:
    """SHA-256 of the files that make a face: those of the deployed folder, or that of the rig."""
    return model_digest(pipeline.model.folder) if isinstance(pipeline, AnimationPipeline) else pipeline.rig.digest


def face_name(pipeline: FacePipeline) -> str:
    """Name of the actor, or of the rig."""
    return pipeline.actor.name if isinstance(pipeline, AnimationPipeline) else pipeline.rig.name


def face_settings(pipeline: FacePipeline) -> dict[str, Any]:
    """Settings of a pipeline that are not arguments of the command line as they are, as JSON values."""
    if isinstance(pipeline, AnimationPipeline):
        return {"actor": face_name(pipeline), "zero_emotion": pipeline.settings.zero_emotion}
    return {"actor": face_name(pipeline), "rig": pipeline.rig.source}
