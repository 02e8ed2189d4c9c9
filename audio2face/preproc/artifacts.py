"""The output folder of preprocessing: names and contents of its files, read and written side by side.

Every later stage reads an actor only through `PreprocArtifacts`. Folders of the reference implementation are supported
as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np

from audio2face.dataset import BlendshapeFiles
from audio2face.errors import FileFormatError, UserError
from audio2face.geometry.pca import PcaBasis
from audio2face.io.arrays import Archive, read_json, read_npy
from audio2face.io.atomic import write_json, write_npy, write_npz, write_text
from audio2face.preproc.network_data import (
    ClipRow,
    DataInfo,
    PcaComponents,
    ShotRow,
    clips_text,
    parse_clips,
    shots_text,
)
from audio2face.types import Float32Array, Float64Array, Int64Array, Mesh

# Version of the folder's layout; a reader refuses a later one. The reference's folders have none and count as 1.
SCHEMA_VERSION = 1

_PLACEHOLDER = "placeholder"  # the only entry of the coefficients of an actor without a tongue
_VERSION_FILE = "configs/artifacts.json"
_ACTOR_FILES = ("configs/actor_info.json", "actor_info.json")  # the second: reduced folders of the reference
_NETWORK_DATA = "deploy/network_data.npz"
_DATA_INFO = "deploy/data_info.json"
_SHOTS = "deploy/shots.json"
_CLIPS = "deploy/clips_template.py"
_MEAN_GEOMETRY = "deploy/mean_geometry.npy"
_COMPONENTS = {"skin": ("evecs_t", "evals_t"), "tongue": ("evecs", "evals")}  # the reference's names differ


def components_file(part: Mesh) -> str:
    """Returns the path of a part's components within the folder."""
    return f"pca/{part}/{part}_pca_shapes.npz"


def coefficients_file(part: Mesh) -> str:
    """Returns the path of a part's coefficients within the folder."""
    return f"pca/{part}/{part}_pca_coeffs_all.npz"


def intermediate_folder(part: Mesh) -> str:
    """Returns the folder of intermediate results, which only studies of preprocessing read."""
    return f"pca/{part}/intermediate"


def blendshape_files(folder: Path, part: Mesh, actor: str) -> BlendshapeFiles:
    """Returns the paths of a part's blend shapes."""
    deploy = folder / "deploy"
    return BlendshapeFiles(deploy / f"bs_{part}_{actor}.npz", deploy / f"bs_{part}_config_{actor}.json")


def display_file(folder: Path, actor: str) -> Path:
    """Returns the path of polygons and marks for rendering."""
    return folder / "deploy" / f"display_{actor}.npz"


# --- Reader ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PreprocArtifacts:
    """Preprocessing results of one actor; every file is read on request.

    Lengths are centimetres. A file with invalid content raises FileFormatError when it is read.

    Attributes:
        folder: the run folder.
        actor: name of the actor.
    """

    folder: Path
    actor: str

    @classmethod
    def open(cls, folder: Path) -> PreprocArtifacts:
        """Opens the folder of a finished run of this framework or of the reference.

        Raises:
            UserError: the run is missing, incomplete, or was written by a later version.
        """
        if not folder.is_dir():
            hint = "Restore the folder, or preprocess and train again."
            raise UserError("there is no such preprocessing run", path=folder, hint=hint)
        required = [_NETWORK_DATA, _DATA_INFO, _SHOTS, _MEAN_GEOMETRY]
        for part in ("skin", "tongue"):
            required += [components_file(part), coefficients_file(part)]
        actor_file = next((name for name in _ACTOR_FILES if (folder / name).is_file()), _ACTOR_FILES[0])
        missing = [name for name in [actor_file, *required] if not (folder / name).is_file()]
        if missing:
            raise UserError(
                f"is not a finished preprocessing run: {missing[0]} is missing",
                path=folder,
                hint="Finish preprocessing: the same command resumes it. Or name another run.",
            )
        _check_version(folder / _VERSION_FILE)
        actor = _fields(folder / actor_file, read_json(folder / actor_file), ("actor_name",))["actor_name"]
        return cls(folder, str(actor))

    @cached_property
    def data_info(self) -> DataInfo:
        """Sizes and transforms of all channels."""
        path = self.folder / _DATA_INFO
        try:
            return DataInfo.from_json(read_json(path))
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"is no data info: {error}", path=path) from error

    @cached_property
    def shots(self) -> tuple[ShotRow, ...]:
        """All shots, in the order of the coefficients."""
        path = self.folder / _SHOTS
        try:
            return tuple(
                ShotRow(intern(str(actor)), str(shot), int(length), float(fps), intern(str(emotion)))
                for actor, shot, length, fps, emotion in read_json(path)
            )
        except (TypeError, ValueError) as error:
            raise FileFormatError(f"is no list of shots: {error}", path=path) from error

    @property
    def clips_template(self) -> Path:
        """Path of the table of clips, as text to be pasted into a configuration."""
        return self.folder / _CLIPS

    @cached_property
    def clips(self) -> tuple[ClipRow, ...]:
        """The table of clips, parsed without executing the text."""
        try:
            return tuple(parse_clips(self.clips_template.read_text(encoding="utf-8")))
        except (OSError, ValueError, SyntaxError, TypeError, RecursionError) as error:
            raise FileFormatError(f"is no table of clips: {error}", path=self.clips_template) from error

    @cached_property
    def skin(self) -> PcaComponents:
        """Components of the skin."""
        return self._read_components("skin")

    @cached_property
    def tongue(self) -> PcaComponents:
        """Components of the tongue; zeros for an actor without one."""
        return self._read_components("tongue")

    @cached_property
    def skin_coefficients(self) -> Archive:
        """Coefficients of the skin, per shot `[frames, components]` float32."""
        return Archive.open(self.folder / coefficients_file("skin"))

    @cached_property
    def tongue_coefficients(self) -> Archive:
        """Coefficients of the tongue, per shot `[frames, components]` float32; empty for an actor without a tongue."""
        archive = Archive.open(self.folder / coefficients_file("tongue"))
        members = {name: member for name, member in archive.members.items() if name != _PLACEHOLDER}
        return Archive(archive.path, members)

    @property
    def has_tongue(self) -> bool:
        """Whether the actor has a tongue that moves."""
        return bool(self.tongue_coefficients.members)

    @cached_property
    def network_data(self) -> Archive:
        """The arrays for a deployed model."""
        return Archive.open(self.folder / _NETWORK_DATA)

    @cached_property
    def mean_geometry(self) -> Float64Array:
        """The normalised neutral face, `[3 verts + 3 tongue verts + 3 points + 2 angles]` float64."""
        path = self.folder / _MEAN_GEOMETRY
        values = read_npy(path)
        counts = self.data_info.counts
        points = counts["num_verts_skin"] + counts["num_verts_tongue"] + counts["num_keypoints_jaw"]
        length = 3 * points + 2 * counts["num_angles_eye"]
        if values.shape != (length,) or values.dtype.kind != "f":
            raise FileFormatError(f"has the shape {list(values.shape)}, expected [{length}] numbers", path=path)
        return np.array(values, np.float64)

    def blendshapes(self, part: Mesh) -> BlendshapeFiles | None:
        """Returns the blend shapes of a part; None if the actor has none."""
        files = blendshape_files(self.folder, part, self.actor)
        return files if files.data.is_file() and files.config.is_file() else None

    @cached_property
    def display(self) -> Archive | None:
        """Polygons and marks for rendering; None in folders of the reference."""
        path = display_file(self.folder, self.actor)
        return Archive.open(path) if path.is_file() else None

    def _read_components(self, part: Mesh) -> PcaComponents:
        archive = Archive.open(self.folder / components_file(part))
        mean = archive.read_floats("shapes_mean", (None, 3))
        return PcaComponents(archive.read_floats("shapes_matrix", (None, len(mean), 3)), mean)


def _check_version(path: Path) -> None:
    if not path.is_file():
        return
    version = _fields(path, read_json(path), ("schema_version",))["schema_version"]
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise FileFormatError(
            f"was written by a later version of the framework (layout {version}, known is {SCHEMA_VERSION})",
            path=path,
            hint="Update the framework, or preprocess the actor once more.",
        )


def _fields(path: Path, values: Any, names: Iterable[str]) -> Mapping[str, Any]:
    if not isinstance(values, dict) or any(name not in values for name in names):
        raise FileFormatError(f"should hold an object with {', '.join(names)}", path=path)
    return values


# --- Writers -----------------------------------------------------------------------------------------------------


def identity_facts(actor: str, fingerprint: str) -> dict[str, Any]:
    """Returns the metadata of a run for `runs.record`: actor, version of the layout, and fingerprint of the inputs."""
    return {
        "actor_info": {"actor_name": actor},
        "artifacts": {"schema_version": SCHEMA_VERSION, "fingerprint": fingerprint},
    }


def test_set_facts(emotions: Mapping[str, str]) -> dict[str, Any]:
    """Returns the metadata of a run for `runs.record`: the test shots that it left out, with their emotions."""
    return {"test_shots": {"shots": dict(emotions)}} if emotions else {}


def read_identity(folder: Path) -> tuple[str, str] | None:
    """Reads actor and fingerprint, as written by `identity_facts`, of a finished or unfinished run; None if missing."""
    try:
        actor = json.loads((folder / _ACTOR_FILES[0]).read_text(encoding="utf-8"))["actor_name"]
        fingerprint = json.loads((folder / _VERSION_FILE).read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(actor), str(fingerprint)


def write_pca(folder: Path, part: Mesh, basis: PcaBasis, variance_threshold: float) -> PcaComponents:
    """Writes the components of a part, also in the reference's form of plain eigenvectors."""
    shapes = PcaComponents(basis.components.reshape(basis.num_components, -1, 3), basis.mean.reshape(-1, 3))
    write_components(folder, part, shapes)
    vectors, values = _COMPONENTS[part]
    arrays = {vectors: basis.components.T, values: basis.eigenvalues, "mean": basis.mean}
    if part == "skin":
        arrays["variance_threshold"] = np.asarray(variance_threshold, np.float64)
    write_npz(folder / intermediate_folder(part) / f"{part}_pca_shapes_inter.npz", arrays)
    return shapes


def write_components(folder: Path, part: Mesh, shapes: PcaComponents) -> None:
    """Writes the components of a part."""
    write_npz(folder / components_file(part), {"shapes_matrix": shapes.matrix, "shapes_mean": shapes.mean})


def write_coefficients(folder: Path, part: Mesh, coefficients: Mapping[str, Float32Array]) -> None:
    """Writes the coefficients of all shots of a part, `[frames, components]` each, in the order given."""
    write_npz(folder / coefficients_file(part), coefficients)


def write_placeholder_tongue(folder: Path, shape: tuple[int, int, int]) -> PcaComponents:
    """Writes a tongue of zeros `[components, verts, 3]` that never moves."""
    components, verts, _ = shape
    shapes = PcaComponents(np.zeros(shape, np.float32), np.zeros((verts, 3), np.float32))
    write_components(folder, "tongue", shapes)
    write_coefficients(folder, "tongue", {_PLACEHOLDER: np.zeros((1, components), np.float32)})
    (folder / intermediate_folder("tongue")).mkdir(parents=True, exist_ok=True)
    return shapes


def write_frame_lists(folder: Path, name: str, frames: Mapping[str, Int64Array]) -> None:
    """Writes increasing frame numbers by shot, shots sorted, as `skin_pruned_poses_<name>.json`."""
    plain = {shot: frames[shot].tolist() for shot in sorted(frames)}
    path = folder / intermediate_folder("skin") / f"skin_pruned_poses_{name}.json"
    write_text(path, json.dumps(plain, indent=4))


def write_deploy(
    folder: Path,
    data: Mapping[str, Float32Array],
    info: DataInfo,
    geometry: Float64Array,
    shots: Iterable[ShotRow],
    voices: Mapping[str, Iterable[str]],
    recordings: Mapping[str, str] | None = None,
) -> str:
    """Writes the files for training and deployment, apart from the components; returns the text of the clip table.

    Args:
        folder: the run folder.
        data: arrays of the deployed model.
        info: sizes and transforms.
        geometry: the normalised neutral face.
        shots: the shot list.
        voices: augmented speakers, and the shots that each has recordings of.
        recordings: paths of recordings with a suffix other than `.wav`, by the path without suffix.
    """
    rows = list(shots)
    clips = clips_text(rows, voices, recordings or {})
    write_npz(folder / _NETWORK_DATA, data)
    write_json(folder / _DATA_INFO, info.as_json())
    write_npy(folder / _MEAN_GEOMETRY, geometry)
    write_text(folder / _SHOTS, shots_text(rows))
    write_text(folder / _CLIPS, clips)
    return clips
