"""Reader and lint of deployed models: `DeployedModel.open(folder)`, `lint(folder)`.

Every file is found through `model.json`, as the SDK finds it; names of files mean nothing. Opening reads all JSON and
the headers of all arrays, not the arrays. What is wrong is noted by the same code for the reader, which refuses the
folder, and for the lint, which lists everything and looks at all values too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape

from audio2face.errors import UserError
from audio2face.io.arrays import Archive
from audio2face.io.atomic import file_sha256
from audio2face.model_folder.actor import AnimationConfig, check_actor_arrays, check_actor_values
from audio2face.model_folder.blendshapes import BlendshapeSet, check_blendshape_values
from audio2face.model_folder.display import read_display
from audio2face.model_folder.network_info import NetworkInfo, read_info
from audio2face.model_folder.npz import StoredArchive, open_archive
from audio2face.model_folder.regression import EmotionDatabase
from audio2face.model_folder.trt_info import ONNX_FILE, TRT_FILE, check_trt_info
from audio2face.model_folder.validation import Diagnostic, Diagnostics, FileDiagnostics, JsonObject, read_object
from audio2face.placeholders import find_placeholder
from audio2face.types import MESHES, AnyArray, Float32Array, Mesh

MODEL_FILE = "model.json"
DIGESTED_SUFFIXES = (".json", ".npz", ".onnx", ".data")
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def display_name(actor: str) -> str:
    """Name of the file with data for drawing an actor, read only by this framework."""
    return f"display_{actor}.npz"


@dataclass(frozen=True)
class DeployedActor:
    """One actor of a deployed model.

    Attributes:
        name: the actor.
        config: animation parameters.
        data: the arrays of the actor (`NetworkInfo.actor_arrays`).
        blendshapes: blend shapes by part; the SDK solves weights only with both parts.
        display: archive with data for drawing, from preprocessing; None without one.
        info: the network's record.
    """

    name: str
    config: AnimationConfig
    data: StoredArchive
    blendshapes: Mapping[Mesh, BlendshapeSet]
    display: Path | None
    info: NetworkInfo

    def array(self, name: str) -> Float32Array:
        """Reads one array of the actor's data.

        Raises:
            FileFormatError: there is no such array.
        """
        array: AnyArray = self.data.read(name)
        return array.astype(np.float32, copy=False)

    @cached_property
    def neutral_skin(self) -> Float32Array:
        """The neutral skin, `[verts, 3]` in cm."""
        return self.array(self.info.neutral_arrays[0])

    @cached_property
    def skin_shapes(self) -> BlendshapeSet | None:
        """The blend shapes that are the components of the skin (SKIN_BASIS): the network predicts their weights.

        None for a network that predicts no coefficients, or those of principal components.
        """
        shapes = self.blendshapes.get("skin")
        if shapes is None or not self.info.predicts_coefficients:
            return None
        components = self.array("shapes_matrix_skin")
        if len(shapes.names) != len(components) or not np.array_equal(shapes.deltas, components):
            return None
        return shapes

    @cached_property
    def neutral_tongue(self) -> Float32Array:
        """The neutral tongue, `[verts, 3]` in cm."""
        return self.array(self.info.neutral_arrays[1])


@dataclass(frozen=True)
class DeployedModel:
    """A deployed folder.

    Attributes:
        folder: the folder.
        info: inputs and outputs of the network.
        engine: path of the TensorRT engine, which may not exist yet.
        actors: the actors, in the order of the identity input.
        emotion_database: implicit emotions; None for a network without.
    """

    folder: Path
    info: NetworkInfo
    engine: Path
    actors: tuple[DeployedActor, ...]
    emotion_database: EmotionDatabase | None

    @classmethod
    def open(cls, folder: Path) -> DeployedModel:
        """Opens a folder.

        Raises:
            UserError: there is no such folder, or (FileFormatError) something in it is wrong.
        """
        faults = Diagnostics()
        model = read_model(folder, faults)
        faults.raise_first(folder)
        assert model is not None  # None only with errors
        return model

    @property
    def onnx(self) -> Path:
        """The network for runtimes other than TensorRT."""
        return self.folder / ONNX_FILE

    def actor(self, name: str) -> DeployedActor:
        """The actor with a name.

        Raises:
            UserError: the model has no such actor.
        """
        for actor in self.actors:
            if actor.name == name:
                return actor
        raise UserError(
            f"the model has no actor {name!r}", path=self.folder, hint=f"It has {', '.join(self.info.identities)}."
        )

    @property
    def implicit_emotion(self) -> Float32Array | None:
        """The implicit emotion input of the network, `[implicit_emotion_len]`."""
        config = self.actors[0].config
        if self.emotion_database is None or config.source_shot is None or config.source_frame is None:
            return None
        return self.emotion_database.find(config.source_shot, config.source_frame)


def read_model(folder: Path, faults: Diagnostics) -> DeployedModel | None:
    """Reads a folder as completely as possible; None if required files are invalid.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError("there is no such folder", path=folder, hint="Name the folder that contains model.json.")
    main = read_object(folder / MODEL_FILE, faults.for_file(MODEL_FILE))
    files = _Files(folder, faults)
    info_file = files.json(main, "networkInfoPath")
    info = read_info(info_file) if info_file is not None else None
    engine = main.path("networkPath")
    if info is None or faults.errors:
        main.faults.note("the other files were not checked", "Fix the errors above and run the check again.")
        return None
    _check_engine(files, engine, info)
    actors = _read_actors(files, main, info) if info.is_multi_actor else _read_only_actor(files, main, info)
    database = _read_database(files, main, info, actors) if info.has_emotion_database else None
    return DeployedModel(folder, info, folder / engine, actors, database)


class _Files:
    """Opens the files named by `model.json`."""

    def __init__(self, folder: Path, faults: Diagnostics) -> None:
        self.folder = folder
        self.faults = faults

    def json(self, holder: JsonObject, key: str) -> JsonObject | None:
        """The JSON file named by a key; None if the key is missing."""
        name = holder.path(key)
        return self.json_file(name) if name else None

    def json_file(self, name: str) -> JsonObject:
        """The JSON file with a name."""
        path = self.inside(name)
        return JsonObject(None, self.for_file(name)) if path is None else read_object(path, self.for_file(name))

    def archive(self, name: str) -> StoredArchive:
        """The archive with a name."""
        if not name.endswith(".npz"):
            self.for_file(name).error("does not end in .npz: the SDK assumes another format", "Rename it.")
        path = self.inside(name)
        return StoredArchive(self.folder / name, name, {}) if path is None else open_archive(path, self.for_file(name))

    def inside(self, name: str) -> Path | None:
        """The path of a file; None, with an error, if links lead out of the folder."""
        path = self.folder / name
        if path.resolve().is_relative_to(self.folder.resolve()):
            return path
        self.for_file(name).unreadable(
            path, "is a link that leads out of the folder", "Copy the folder with files in place of links (cp -rL)."
        )
        return None

    def for_file(self, name: str) -> FileDiagnostics:
        """Collects problems of the file with a name."""
        return self.faults.for_file(name)


def _check_engine(files: _Files, engine: str, info: NetworkInfo) -> None:
    """Reports a missing engine, and what prevents building it."""
    engine_path, graph = files.inside(engine), files.inside(ONNX_FILE)
    if engine_path is None or graph is None or engine_path.is_file():
        return
    placeholder = find_placeholder(graph)
    if placeholder is not None:
        files.for_file(ONNX_FILE).error(placeholder.problem, placeholder.hint)
        return
    if not graph.is_file():
        files.for_file(engine).error(f"is missing, and so is {ONNX_FILE} to build it from", "Deploy the model again.")
        return
    files.for_file(engine).note(
        "is not built yet: the SDK needs it, the framework's inference does not", "See README.md: trtexec."
    )
    check_trt_info(files.json_file(TRT_FILE), info)


def _read_actors(files: _Files, main: JsonObject, info: NetworkInfo) -> tuple[DeployedActor, ...]:
    """The actors of a multi-actor folder."""
    configs, data = main.paths("modelConfigPaths"), main.paths("modelDataPaths")
    shapes = main.children("blendshapePaths") if main.has("blendshapePaths") else []
    lists: dict[str, int] = {"modelConfigPaths": len(configs), "modelDataPaths": len(data)}
    if main.has("blendshapePaths"):
        lists["blendshapePaths"] = len(shapes)
    for key, length in lists.items():
        if length != len(info.identities):
            main.faults.error(
                f"{key} has {length} entries, network_info.json has {len(info.identities)} identities",
                "Name one file for each identity, in their order.",
            )
    shapes += [JsonObject(None, main.faults)] * len(info.identities)
    rows = zip(info.identities, configs, data, shapes, strict=False)
    return tuple(_read_actor(files, info, name, files.json_file(config), npz, bs) for name, config, npz, bs in rows)


def _read_only_actor(files: _Files, main: JsonObject, info: NetworkInfo) -> tuple[DeployedActor, ...]:
    """The actor of a single-actor folder."""
    config, data = files.json(main, "modelConfigPath"), main.path("modelDataPath")
    shapes = main.child("blendshapePaths") if main.has("blendshapePaths") else JsonObject(None, main.faults)
    if config is None or not data:
        return ()
    return (_read_actor(files, info, info.identities[0], config, data, shapes),)


def _read_actor(
    files: _Files, info: NetworkInfo, name: str, config: JsonObject, data: str, shapes: JsonObject
) -> DeployedActor:
    archive = files.archive(data)
    check_actor_arrays(archive, info, files.for_file(data))
    display = files.inside(display_name(name))
    return DeployedActor(
        name,
        AnimationConfig.read(config, info),
        archive,
        _read_blendshapes(files, info, name, shapes),
        display if display is not None and display.is_file() else None,
        info,
    )


def _read_blendshapes(files: _Files, info: NetworkInfo, actor: str, shapes: JsonObject) -> dict[Mesh, BlendshapeSet]:
    found: dict[Mesh, BlendshapeSet] = {}
    present = [part for part in MESHES if shapes.has(part)]
    for part in present:
        paths = shapes.child(part)
        config, data = files.json(paths, "config"), paths.path("data")
        if config is not None and data:
            verts = info.skin_verts if part == "skin" else info.tongue_verts
            read = BlendshapeSet.read(files.archive(data), config, verts, files.for_file(data))
            if read is not None:
                found[part] = read
    if len(present) == 1:
        shapes.faults.warning(
            f"actor {actor!r} has blend shapes of the {present[0]} alone: the SDK wants both to give weights",
            "Add the other set where weights are wanted.",
        )
    return found


def _read_database(
    files: _Files, main: JsonObject, info: NetworkInfo, actors: tuple[DeployedActor, ...]
) -> EmotionDatabase | None:
    name = main.path("emotionDatabasePath")
    if not name:
        return None
    faults = files.for_file(name)
    database = EmotionDatabase.read(files.archive(name), info.implicit_emotion_len, faults)
    config = actors[0].config if actors else None
    if database is None or config is None or not config.source_shot or config.source_frame is None:
        return database
    if database.find(config.source_shot, config.source_frame) is None:
        faults.error(
            f"has no frame {config.source_frame} of shot {config.source_shot!a}, which the model's config names",
            f"Name one of its shots ({', '.join(map(ascii, database.names[:5]))}) and a frame below its size.",
        )
    return database


def model_digest(folder: Path) -> str:
    """SHA-256 of the names and contents of a deployed folder's files that an animation depends on."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in DIGESTED_SUFFIXES and path.is_file():
            digest.update(f"{path.name}\n{file_sha256(path)}\n".encode())
    return digest.hexdigest()


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


def show_diagnostics(faults: list[Diagnostic], console: Console) -> None:
    """Prints findings with file and fix, errors first, and their counts."""
    for severity, colour in _COLOURS.items():
        for fault in (fault for fault in faults if fault.severity == severity):
            label = f"[{colour}]{severity.upper()}[/{colour}]"
            console.print(f"{label} {escape(f'{fault.file}: {fault.problem}')}", soft_wrap=True)
            console.print(f"    {escape(fault.hint)}", soft_wrap=True)
    counts = [f"{severity}s: {sum(fault.severity == severity for fault in faults)}" for severity in _COLOURS]
    console.print(", ".join(counts))
