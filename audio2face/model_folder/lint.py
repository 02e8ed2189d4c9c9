"""Lint of deployed folders by the rules of the SDK's readers.

What `model.read_model` notes while it reads, and what only a look at all values shows.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from audio2face.errors import UserError
from audio2face.io.arrays import Archive
from audio2face.model_folder.actor import check_actor_values
from audio2face.model_folder.blendshapes import check_blendshape_values
from audio2face.model_folder.display import read_display
from audio2face.model_folder.model import DeployedActor, DeployedModel, read_model
from audio2face.model_folder.validation import Diagnostic, Diagnostics
from audio2face.types import MESHES

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def lint(folder: Path) -> tuple[DeployedModel | None, list[Diagnostic]]:
    """Checks a folder.

    Returns:
        The model, or None where its main files could not be read; and all findings.

    Raises:
        UserError: there is no such folder.
    """
    faults = Diagnostics()
    model = read_model(folder, faults)
    if model is not None:
        _check_archives(folder, faults)
        for actor in model.actors:
            _check_actor(actor, faults)
            verts = {"skin": actor.info.skin_verts, "tongue": actor.info.tongue_verts}
            display = None if actor.display is None else faults.for_file(actor.display.name)
            if actor.display is not None and display is not None and display.is_sound:
                read_display(actor.display, verts, display)
    return model, faults.found


def _check_actor(actor: DeployedActor, faults: Diagnostics) -> None:
    data = faults.for_file(actor.data.name)
    check_actor_values(actor.data, actor.info, data)
    neutrals = dict(zip(MESHES, actor.info.neutral_arrays, strict=True))
    for part, shapes in actor.blendshapes.items():
        poses = faults.for_file(shapes.archive.name)
        if poses.is_sound:
            check_blendshape_values(shapes, actor.array(neutrals[part]) if data.is_sound else None, poses)


def _check_archives(folder: Path, faults: Diagnostics) -> None:
    """Reports archives whose bytes differ from those that were written.

    The SDK ignores the directory of an archive and the checksums of its arrays.
    """
    for path in sorted(folder.rglob("*.npz")):
        own = faults.for_file(path.relative_to(folder).as_posix())
        if not own.is_sound or not path.resolve().is_relative_to(folder.resolve()):
            continue
        try:
            archive = Archive.open(path)
            for name in archive.members:
                archive.read(name)
        except UserError as error:
            own.error(error.problem, "Deploy the model again.")


def show(faults: list[Diagnostic], console: Console) -> None:
    """Prints findings with file and fix, errors first, and their counts."""
    for severity, colour in _COLOURS.items():
        for fault in (fault for fault in faults if fault.severity == severity):
            label = f"[{colour}]{severity.upper()}[/{colour}]"
            console.print(f"{label} {escape(f'{fault.file}: {fault.problem}')}", soft_wrap=True)
            console.print(f"    {escape(fault.hint)}", soft_wrap=True)
    counts = [f"{severity}s: {sum(fault.severity == severity for fault in faults)}" for severity in _COLOURS]
    console.print(", ".join(counts))
