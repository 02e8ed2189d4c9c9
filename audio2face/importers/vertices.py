"""The kind `vertices`: positions of vertices in arrays, as research data sets have them, described by a layout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.dataset.arkit_names import listed
from audio2face.dataset.vertex_lists import VertexLists
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.geometry.frames import lerp
from audio2face.importers.kinds import ImportOptions
from audio2face.importers.mesh_files import SUFFIXES, MeshFile, read_mesh
from audio2face.importers.mesh_takes import MeshImporter
from audio2face.importers.moving import MovingMeshes
from audio2face.importers.naming import take_names
from audio2face.importers.research_layout import (
    FILE,
    FRAME,
    READY,
    SUBJECT,
    ResearchLayout,
    find_files,
    one_file,
    read_layout,
)
from audio2face.importers.timing import named_rate
from audio2face.io.arrays import Archive, read_npy
from audio2face.rigs.scene import Piece
from audio2face.types import AnyArray, BoolArray, Int32Array, Int64Array

_ARRAYS = (".npy", ".npz")
_PICKLES = (".pkl", ".pickle", ".p", ".pt", ".pth")
_FEWEST_FRAMES = 2
_PICKLE_HINT = (
    "A pickle runs code when it is opened, so none is loaded here. Convert it where you trust it: numpy.save(path, "
    "array.astype(numpy.float32)), one array [frames, vertices, 3] for each take; docs/import_research.md has the "
    "lines for VOCASET."
)
_SHAPE_HINT = "Give positions [frames, vertices, 3], or flat [frames, 3 * vertices], as float32."


class VertexArrays(MeshImporter):
    """Takes of arrays of one subject."""

    def __init__(self, options: ImportOptions) -> None:
        super().__init__(options)
        self._lists = VertexLists()

    def lists(self) -> VertexLists:
        """The lists that the layout names."""
        return self._lists

    def open(self, sources: Sequence[Path]) -> list[MovingMeshes]:
        """The takes in a folder, or in some files of it."""
        root, chosen = _root_of(sources)
        layout = self._layout(root, chosen)
        fps = self.options.fps or layout.fps
        if fps is None:
            raise UserError("nothing tells the frames per second of its arrays", path=root, hint="Give them: --fps 30")
        found = [each for each in _group(root, layout) if not chosen or set(each.paths) & set(chosen)]
        if not found:
            raise _no_files(root, layout)
        found = self._of_one_subject(found, root)
        values = found[0].values
        face = _Face.read(root, layout, values)
        if layout.lists is not None:
            self._lists = VertexLists.read(_needed(root, layout.lists, values, "lists of vertices"))
        names = take_names([(each.stem, each.paths[0].parent) for each in found])
        return [
            _moving(name, each, face, layout, fps, _audio_of(root, layout, each.values))
            for name, each in zip(names, found, strict=True)
        ]

    def _layout(self, root: Path, chosen: Sequence[Path]) -> ResearchLayout:
        named = self.options.more.get("layout")
        if named is not None:
            return read_layout(named)
        if (root / FILE).is_file():
            return read_layout(str(root / FILE))
        suffixes = {path.suffix.lower() for path in chosen or root.iterdir()} & set(_ARRAYS)
        if not suffixes:
            raise UserError(
                f"holds no arrays ({' '.join(_ARRAYS)}) and no {FILE}",
                path=root,
                hint=f"Name its layout: --layout {'|'.join(READY)}, or a .toml file of your own.",
            )
        return ResearchLayout(files=f"{{take}}{min(suffixes)}")

    def _of_one_subject(self, found: list[_Files], root: Path) -> list[_Files]:
        subjects = sorted({each.values[SUBJECT] for each in found if SUBJECT in each.values})
        wanted = self.options.more.get("subject")
        if wanted is not None and wanted not in subjects:
            there = f"its subjects are {listed(subjects)}" if subjects else "its layout tells no subjects"
            raise UserError(f"has no subject {wanted!r}: {there}", path=root, hint="Check the spelling of --subject.")
        if wanted is None and len(subjects) > 1:
            raise UserError(
                f"holds {len(subjects)} subjects: {listed(subjects)}",
                path=root,
                hint=f"An actor is one person: choose one with --subject {subjects[0]}, and import others under names "
                "of their own; a network trains on several actors.",
            )
        return [each for each in found if wanted is None or each.values[SUBJECT] == wanted]


@dataclass(frozen=True)
class _Files:
    """What holds one take: an array, or a file for each frame.

    Attributes:
        values: of the placeholders, without the frame.
        paths: the array, or the frames in order.
        numbers: of the frames; empty for an array.
    """

    values: Mapping[str, str]
    paths: tuple[Path, ...]
    numbers: tuple[int, ...] = ()

    @property
    def stem(self) -> str:
        """What the take is called."""
        parts = [value for name, value in self.values.items() if name != SUBJECT]
        return "_".join(parts) or self.paths[0].stem


def _root_of(sources: Sequence[Path]) -> tuple[Path, list[Path]]:
    """The folder of the data set, and the files of it that were named."""
    for source in sources:
        if source.suffix.lower() in _PICKLES:
            raise UserError("is a pickle, which holds Python objects", path=source, hint=_PICKLE_HINT)
        if not source.exists():
            raise missing_file("there is no such file or folder", source, "Give the folder of the data set.")
    if len(sources) == 1 and sources[0].is_dir():
        return sources[0], []
    folders = {source.parent for source in sources}
    if len(folders) > 1 or any(source.is_dir() for source in sources):
        raise UserError("the sources are neither one folder nor files of one folder", hint="Give the folder itself.")
    return folders.pop(), list(sources)


def _group(root: Path, layout: ResearchLayout) -> list[_Files]:
    """The takes below a folder."""
    if f"{{{FRAME}}}" not in layout.files:
        return [_Files(values, (path,)) for values, path in find_files(root, layout.files)]
    takes: dict[tuple[tuple[str, str], ...], list[tuple[int, Path]]] = {}
    for values, path in find_files(root, layout.files):
        number = int(values.pop(FRAME))
        takes.setdefault(tuple(values.items()), []).append((number, path))
    found = []
    for key, frames in takes.items():
        numbers, paths = zip(*sorted(frames), strict=True)
        found.append(_Files(dict(key), paths, numbers))
    return found


def _no_files(root: Path, layout: ResearchLayout) -> UserError:
    pickles = [path.name for path in sorted(root.iterdir()) if path.suffix.lower() in _PICKLES]
    if pickles:
        return UserError(
            f"has no {layout.files}, and its content is in pickles: {listed(pickles)}", path=root, hint=_PICKLE_HINT
        )
    return UserError(
        f"has no {layout.files}",
        path=root,
        hint="Give the folder in which this path begins, or correct takes.files of the layout.",
    )


def _needed(root: Path, pattern: str, values: Mapping[str, str], what: str) -> Path:
    found = one_file(root, pattern, values, any_fits=True)
    if found is None:
        named = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), pattern)
        raise missing_file(f"the {what} of its layout is missing", root / named, "Put it there, or correct the layout.")
    return found


def _audio_of(root: Path, layout: ResearchLayout, values: Mapping[str, str]) -> Path | None:
    return None if layout.audio is None else one_file(root, layout.audio, values)


@dataclass(frozen=True, eq=False)
class _Face:
    """The face of a subject: at rest where a template tells, and its polygons where they are known."""

    template: MeshFile | None
    topology: MeshFile | None

    @classmethod
    def read(cls, root: Path, layout: ResearchLayout, values: Mapping[str, str]) -> _Face:
        template = topology = None
        if layout.template is not None:
            template = topology = read_mesh(_needed(root, layout.template, values, "template"))
        if layout.faces is not None:
            topology = read_mesh(path := _needed(root, layout.faces, values, "mesh with the polygons"))
            if template is not None and len(topology.vertices) != len(template.vertices):
                raise FileFormatError(
                    f"has {len(topology.vertices):,} vertices, and the template has {len(template.vertices):,}",
                    path=path,
                    hint="Name a mesh of the same topology as takes.faces.",
                )
        if template is None and layout.offsets:
            raise UserError("arrays of offsets need a template", path=root, hint="Add face.template to the layout.")
        return cls(template, topology)

    @property
    def num_verts(self) -> int | None:
        """Vertices of the mesh; None where only the arrays tell."""
        return None if self.topology is None else len(self.topology.vertices)

    @property
    def faces(self) -> Int32Array:
        """Polygons, `[faces, 3 or 4]`; none where they are not known."""
        return np.zeros((0, 3), np.int32) if self.topology is None else self.topology.faces


def _moving(
    name: str, files: _Files, face: _Face, layout: ResearchLayout, fps: float, audio: Path | None
) -> MovingMeshes:
    frames = _open_frames(files, layout)
    first = np.asarray(frames.read(0, 1)[0], np.float32)
    expected = layout.vertices or face.num_verts
    if expected is not None and len(first) != expected:
        raise _other_mesh(files.paths[0], len(first), expected)
    rest = first if face.template is None else face.template.vertices
    added = rest if layout.offsets else None
    return MovingMeshes(
        name=name,
        source=files.paths[0] if not files.numbers else files.paths[0].parent,
        kind="shapes",
        pieces=[Piece("face", rest, face.faces, {}, None)],
        has_rest=face.template is not None,
        pose=lambda piece, block: _posed(frames.read(block.start, block.stop), added),
        num_frames=frames.num_frames,
        fps=named_rate(fps),
        lost=frames.lost,
        unit_cm=layout.unit_cm,
        up=layout.up,
        audio=audio,
        notes=frames.notes,
    )


def _other_mesh(path: Path, found: int, expected: int) -> FileFormatError:
    return FileFormatError(
        f"has {found:,} vertices, and its template or layout has {expected:,}",
        path=path,
        hint="It is of another mesh, or the layout is that of another data set.",
    )


def _posed(values: AnyArray, added: AnyArray | None) -> AnyArray:
    return values if added is None else values + added


@dataclass(frozen=True, eq=False)
class _ArrayFrames:
    """Frames in one array `[frames, verts, 3]`, mapped from its file."""

    array: AnyArray
    lost: BoolArray | None = None
    notes: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        return len(self.array)

    def read(self, start: int, stop: int) -> AnyArray:
        with np.errstate(over="ignore"):
            return np.asarray(self.array[start:stop], np.float32)


@dataclass(frozen=True, eq=False)
class _FileFrames:
    """Frames in files of their own; missing ones are interpolated.

    Attributes:
        paths: the files.
        places: place of each in the take.
        num_frames: frames of the take.
        num_verts: vertices of each.
        notes: what is worth knowing.
    """

    paths: tuple[Path, ...]
    places: Int64Array
    num_frames: int
    num_verts: int
    notes: tuple[str, ...]

    @property
    def lost(self) -> BoolArray:
        missing = np.ones(self.num_frames, np.bool_)
        missing[self.places] = False
        return missing

    def read(self, start: int, stop: int) -> AnyArray:
        at = np.interp(np.arange(start, stop), self.places, np.arange(len(self.places)))
        lower = np.floor(at).astype(np.int64)
        upper = np.minimum(lower + 1, len(self.paths) - 1)
        needed = sorted({*lower.tolist(), *upper[at > lower].tolist()})
        loaded = {number: self._load(self.paths[number]) for number in needed}
        found = [
            loaded[low] if share == 0 else lerp(loaded[low], loaded[high], np.asarray(share, np.float32))
            for low, high, share in zip(lower.tolist(), upper.tolist(), (at - lower).tolist(), strict=True)
        ]
        return np.stack(found)

    def _load(self, path: Path) -> AnyArray:
        vertices = read_mesh(path).vertices
        if len(vertices) != self.num_verts:
            raise FileFormatError(
                f"has {len(vertices):,} vertices, and {self.paths[0].name} has {self.num_verts:,}",
                path=path,
                hint="All frames have one mesh; remove the frame, or export it once more.",
            )
        return vertices


def _open_frames(files: _Files, layout: ResearchLayout) -> _ArrayFrames | _FileFrames:
    if not files.numbers:
        return _ArrayFrames(_array_of(files.paths[0], layout))
    if files.paths[0].suffix.lower() not in SUFFIXES:
        raise UserError(f"frames as files are {' '.join(SUFFIXES)}", path=files.paths[0], hint="Convert them.")
    numbers = np.array(files.numbers, np.int64)
    steps = np.diff(numbers)
    step = int(np.bincount(steps).argmax()) if len(steps) and steps.min() > 0 else 1
    places = np.rint((numbers - numbers[0]) / step).astype(np.int64)
    kept = np.concatenate([[True], np.diff(places) > 0])
    count = int(places[-1]) + 1
    notes = () if count == kept.sum() else (f"{count - int(kept.sum())} frames of {count} have no file",)
    paths = tuple(path for path, keep in zip(files.paths, kept.tolist(), strict=True) if keep)
    return _FileFrames(paths, places[kept], count, len(read_mesh(paths[0]).vertices), notes)


def _array_of(path: Path, layout: ResearchLayout) -> AnyArray:
    """The positions in a file, `[frames, verts, 3]`, mapped where the format allows it."""
    array = _member(path, layout.key) if path.suffix.lower() == ".npz" else read_npy(path)
    if array.ndim == 2 and array.shape[1] % 3 == 0 and array.shape[1]:
        array = array.reshape(len(array), -1, 3)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype.kind != "f" or len(array) < _FEWEST_FRAMES:
        raise FileFormatError(
            f"is {array.dtype} of shape {list(array.shape)}, which are no frames of vertices",
            path=path,
            hint=_SHAPE_HINT,
        )
    return array


def _member(path: Path, key: str | None) -> AnyArray:
    archive = Archive.open(path)
    if key is None:
        fitting = [name for name, member in archive.members.items() if len(member.shape) in (2, 3)]
        if len(fitting) != 1:
            raise FileFormatError(
                f"holds {len(fitting)} arrays that may be frames of vertices: {listed(list(archive.members))}",
                path=path,
                hint='Name the one in the layout: key = "vertices".',
            )
        key = fitting[0]
    if key not in archive.members:
        raise FileFormatError(
            f"has no array {key!a}: {listed(list(archive.members))}", path=path, hint="Correct key in the layout."
        )
    return archive.read(key)
