"""Everything that is wrong with a deployed folder, whoever made it, by the rules of the SDK's own readers.

What `model.read_model` notes while it reads, and what only a look at all values shows.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from audio2face.model_folder.actor_data import check_actor_values, neutral_names
from audio2face.model_folder.blendshapes import check_blendshape_values
from audio2face.model_folder.faults import Fault, Faults
from audio2face.model_folder.model import PARTS, DeployedActor, DeployedModel, read_model

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def lint(folder: Path) -> tuple[DeployedModel | None, list[Fault]]:
    """Checks a folder.

    Returns:
        The model, or None where its main files could not be read; and all findings.

    Raises:
        UserError: there is no such folder.
    """
    faults = Faults()
    model = read_model(folder, faults)
    if model is not None:
        for actor in model.actors:
            _check_actor(actor, faults)
    return model, faults.found


def _check_actor(actor: DeployedActor, faults: Faults) -> None:
    data = faults.of(actor.data.name)
    check_actor_values(actor.data, actor.info, data)
    neutrals = dict(zip(PARTS, neutral_names(actor.info), strict=True))
    for part, shapes in actor.blendshapes.items():
        poses = faults.of(shapes.archive.name)
        if poses.is_sound:
            check_blendshape_values(shapes, actor.array(neutrals[part]) if data.is_sound else None, poses)


def show(faults: list[Fault], console: Console) -> None:
    """Prints findings, the worst first, each with file and remedy, and how many there are."""
    for severity, colour in _COLOURS.items():
        for fault in (fault for fault in faults if fault.severity == severity):
            label = f"[{colour}]{severity.upper()}[/{colour}]"
            console.print(f"{label} {escape(f'{fault.file}: {fault.problem}')}", soft_wrap=True)
            console.print(f"    {escape(fault.remedy)}", soft_wrap=True)
    counts = [f"{severity}s: {sum(fault.severity == severity for fault in faults)}" for severity in _COLOURS]
    console.print(", ".join(counts))
