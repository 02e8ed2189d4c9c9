"""Finds the training run that TEACHER_RUN names: of a network that can teach, and that knows the actors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from audio2face.errors import UserError
from audio2face.families import FAMILIES
from audio2face.run_names import is_trained, resolve_run, run_folders

_NETWORK_FILE = "network.json"  # of a run folder: type of the network, and its actors


def find_teacher(text: str, root: Path, actors: Sequence[str], fits: Callable[[Path], bool] = lambda run: True) -> Path:
    """Finds a finished run of an offline network that was trained on all of the actors.

    Args:
        text: TEACHER_RUN: a full name, an end or a part of it; or `latest`, the newest run that can teach.
        root: TRAIN_OUTPUT_ROOT.
        actors: those of the network to train.
        fits: what `latest` asks of a run besides.

    Raises:
        UserError: there is no such run, there are several, or it cannot teach this network.
    """
    found = resolve_run(
        text,
        run_folders(root),
        "training run",
        root,
        is_latest=lambda run: _why_not(run, actors) is None and fits(run),
        latest_words=f" finished offline network of {', '.join(actors)} in a",
    )
    problem = _why_not(found, actors)
    if problem is not None:
        raise UserError(problem[0], path=found, hint=problem[1])
    return found


def _why_not(run: Path, actors: Sequence[str]) -> tuple[str, str] | None:
    """Why a run cannot teach a network of these actors, and what to do; None where it can."""
    try:
        record: dict[str, Any] = json.loads((run / _NETWORK_FILE).read_text(encoding="utf-8"))
        kind, known = str(record["network_type"]), [str(actor) for actor in record["actors"]]
    except (OSError, ValueError, KeyError, TypeError):
        return "does not record its network, which is to teach", "Name another run."
    teachers = [name for name, family in FAMILIES.items() if family.trained is not None]
    if kind not in teachers:
        return f"holds a {kind} network, which cannot teach", f"Name a run of these: {', '.join(teachers)}."
    if not is_trained(run):
        return "is not finished, so that it cannot teach", f"Finish it: --resume {run.name}, or name another run."
    missing = [actor for actor in actors if actor not in known]
    if missing:
        return (
            f"was trained on {', '.join(known)}, and cannot teach {', '.join(missing)}",
            "Name a run that was trained on all of ACTOR_NAMES.",
        )
    return None
