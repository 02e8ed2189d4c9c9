"""Where a training run's data came from, as a file in its folder: written by training, read by all later stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio2face.config import Roots
from audio2face.dataset.arrays import read_json
from audio2face.errors import FileFormatError
from audio2face.training.sources import ActorSource

ORIGINS_STEM = "preproc_info"  # of the file in `configs/`


@dataclass(frozen=True)
class Origin:
    """What an actor was trained from.

    Attributes:
        folder: the preprocessing run; None where every file was named singly.
        files: files that were named singly, by the parameter that did.
    """

    folder: Path | None
    files: Mapping[str, Path]


def describe(sources: Iterable[ActorSource], roots: Roots) -> dict[str, Any]:
    """The origins as JSON; paths below the roots are written so that they hold after a move and in a container."""
    runs = {source.actor: source.artifacts.folder for source in sources if source.artifacts is not None}
    return {
        "preproc_run_name_full": {actor: folder.name for actor, folder in runs.items()},
        "preproc_folder": {actor: portable_path(folder, roots) for actor, folder in runs.items()},
        "artifact_files": {
            source.actor: {name: portable_path(path, roots) for name, path in source.files.items()}
            for source in sources
        },
    }


def read_origins(folder: Path, roots: Roots, preproc_root: Path) -> dict[str, Origin]:
    """Reads what `describe` gave from the folder of a training run, or what the reference implementation left there.

    Args:
        folder: the run folder.
        roots: where datasets and workspace lie.
        preproc_root: PREPROC_ROOT, for folders of the reference, which know the names of runs only.

    Returns:
        The origins by actor, in the order of the network.

    Raises:
        UserError: the file is missing, or (FileFormatError) holds something else.
    """
    path = folder / "configs" / f"{ORIGINS_STEM}.json"
    content = read_json(path)
    try:
        runs = {actor: preproc_root / str(run) for actor, run in content["preproc_run_name_full"].items()}
        runs |= {actor: roots.resolve(text, "workspace") for actor, text in content.get("preproc_folder", {}).items()}
        files = {
            actor: {name: roots.resolve(text, "workspace") for name, text in named.items()}
            for actor, named in content.get("artifact_files", {name: {} for name in runs}).items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"is no record of preprocessing runs: {error}", path=path) from error
    return {actor: Origin(runs.get(actor), named) for actor, named in files.items()}


def portable_path(path: Path, roots: Roots) -> str:
    """A path as a configuration would give it, so that it holds after a move of the root it lies below."""
    for name, root in (("workspace", roots.workspace), ("datasets", roots.datasets)):
        if path.is_relative_to(root):
            return f"/{name}/{path.relative_to(root).as_posix()}"
    return str(path)
