"""The kinds of sources: which there are, what each provides, and how sources become takes.

A kind is a module with a subclass of `Importer`, named in `KINDS`. Its packages may be extras: it imports them inside
functions.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from audio2face.dataset.layout import ActorGeometry
from audio2face.errors import UserError
from audio2face.importers.take import Take, TakeSummary


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of an import, which are the same for all kinds.

    Attributes:
        audio: the recording of the only take, or a folder with a recording of each; None: beside or in the source.
        emotion: of all takes; None: from their names.
        fps: frames per second of sources that do not state them; None: from the source.
        more: options of the kind, by name without dashes, as they were typed.
        scratch: folder in which kinds keep what takes long to measure, for a later call; None: nothing is kept.
    """

    audio: Path | None = None
    emotion: str | None = None
    fps: float | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    scratch: Path | None = None


class Importer(ABC):
    """Finds and reads the takes of one kind.

    Args:
        options: of the import.
    """

    def __init__(self, options: ImportOptions) -> None:
        self.options = options

    @abstractmethod
    def inspect(self, sources: Sequence[Path]) -> list[TakeSummary]:
        """Finds the takes in files and folders, sorted by name; nothing is written.

        Raises:
            UserError: a source is missing, damaged, or of another kind.
        """

    @abstractmethod
    def read(self, name: str) -> Take:
        """Reads a take that was found.

        Raises:
            UserError: it cannot be read.
        """

    def geometry(self) -> ActorGeometry | None:
        """The face of takes of meshes, once they were inspected; None of weights, which a rig turns into meshes."""
        return None


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        module: in this package.
        importer: the class in it.
        summary: what its sources are, for help.
        options: names of its own options, see `ImportOptions.more`.
    """

    module: str
    importer: str
    summary: str
    options: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "livelink": Kind("livelink", "LiveLink", "takes of the Live Link Face app in ARKit mode: folders or CSV files"),
    "arkit": Kind("arkit", "ArkitWeights", "weights of ARKit's shapes: CSV, JSON (Audio2Face's too), .npy, .npz"),
    "video": Kind(
        "video",
        "VideoFilms",
        "films of a speaking face, through MediaPipe's face landmarker (--model FILE)",
        ("model", "smoothing", "rest"),
    ),
    "gltf": Kind("gltf", "GltfCharacters", "animated characters as .glb or .gltf: morph targets and joints"),
    "usd": Kind("usd", "UsdCharacters", "animated characters as USD: samples of points, UsdSkel shapes and joints"),
    "alembic": Kind("alembic", "AlembicCaches", "animated meshes as Alembic caches, .abc"),
    "vertices": Kind(
        "vertices",
        "VertexArrays",
        "arrays of vertices, as research data sets have them (--layout, --subject)",
        ("layout", "subject"),
    ),
}


def new_importer(kind: str, options: ImportOptions) -> Importer:
    """The importer of a kind.

    Raises:
        UserError: there is no such kind, or it has no such option.
    """
    if kind not in KINDS:
        raise UserError(f"there is no kind {kind!r} of import", hint=f"There are: {', '.join(KINDS)}.")
    entry = KINDS[kind]
    for option in options.more:
        if option not in entry.options:
            raise UserError(f"the kind {kind} has no option --{option}", hint="The option --help lists them.")
    module = importlib.import_module(f"audio2face.importers.{entry.module}")
    return cast(Importer, getattr(module, entry.importer)(options))
