"""The data of each actor: artifacts of its preprocessing run, single files that override them, and its raw data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from audio2face.config import Dataset, TrainSection
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.dataset.vertex_lists import LipSize, VertexPairs
from audio2face.errors import FileFormatError, UserError
from audio2face.geometry.pca import coefficient_metric
from audio2face.io.arrays import Archive, read_json, read_points
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.network_data import ClipRow as ClipRow
from audio2face.preproc.network_data import DataInfo, PcaComponents, ShotRow
from audio2face.run_names import LATEST
from audio2face.training.preproc_runs import find_run
from audio2face.types import Float32Array, Float64Array


def read_data_info(path: Path) -> DataInfo:
    """Reads sizes and transforms; raises UserError (FileFormatError) for a file of another content."""
    try:
        return DataInfo.from_json(read_json(path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"is no data info: {error}", path=path) from error


def read_shots(path: Path) -> tuple[ShotRow, ...]:
    """Reads a shot list; raises UserError (FileFormatError) for a file of another content."""
    try:
        return tuple(
            ShotRow(str(actor), str(shot), int(length), float(fps), str(emotion))
            for actor, shot, length, fps, emotion in read_json(path)
        )
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"is no list of shots: {error}", path=path) from error


def read_components(path: Path) -> PcaComponents:
    """Reads PCA components and mean; raises UserError (FileFormatError) for a file of another content."""
    archive = Archive.open(path)
    mean = archive.read_floats("shapes_mean", (None, 3))
    return PcaComponents(archive.read_floats("shapes_matrix", (None, len(mean), 3)), mean)


def read_mean_geometry(path: Path, info: DataInfo) -> Float64Array:
    """Reads the normalised neutral face, float64 `[channels]`; raises UserError if its length is wrong."""
    counts = info.counts
    points = counts["num_verts_skin"] + counts["num_verts_tongue"] + counts["num_keypoints_jaw"]
    return read_points(path, (3 * points + 2 * counts["num_angles_eye"],)).astype(np.float64)


# Parameters that override one file of an actor's preprocessing run. Regression lacks the last.
FILE_PARAMETERS = (
    "SKIN_PCA_COEFFS_FPATH",
    "SKIN_PCA_SHAPES_FPATH",
    "TONGUE_PCA_COEFFS_FPATH",
    "TONGUE_PCA_SHAPES_FPATH",
    "DATA_INFO_FPATH",
    "SHOT_LIST_FPATH",
    "MEAN_GEOMETRY_FPATH",
)
# Counts that all actors of a network must share, with their descriptions. The number of components matters only to
# networks that predict coefficients.
SHARED_COUNTS = {
    "num_verts_skin": "skin vertices",
    "num_verts_tongue": "tongue vertices",
    "num_keypoints_jaw": "key points of the jaw",
    "num_angles_eye": "angles of an eye",
}
COMPONENT_COUNTS = {
    "skin_coeffs": ("num_shapes_skin", "PCA components of the skin", "SKIN_FORCE_COMPONENTS"),
    "tongue_coeffs": ("num_shapes_tongue", "PCA components of the tongue", "TONGUE_FORCE_COMPONENTS"),
}


@dataclass(frozen=True)
class ActorSource:
    """The training data of one actor; files are read lazily.

    Attributes:
        actor: name of the actor.
        artifacts: its preprocessing run; None if override files replace all of it.
        files: the override files, by parameter.
        raw: its raw data.
    """

    actor: str
    artifacts: PreprocArtifacts | None
    files: Mapping[str, Path]
    raw: ActorDataset

    @cached_property
    def info(self) -> DataInfo:
        """Sizes and transforms of all channels."""
        path = self.files.get("DATA_INFO_FPATH")
        return self._run.data_info if path is None else read_data_info(path)

    @cached_property
    def listed_shots(self) -> tuple[ShotRow, ...]:
        """All shots in order, also those of the test set that preprocessing has seen."""
        path = self.files.get("SHOT_LIST_FPATH")
        return self._run.shots if path is None else read_shots(path)

    @cached_property
    def shots(self) -> tuple[ShotRow, ...]:
        """The shots outside of the test set, in order."""
        return tuple(row for row in self.listed_shots if row.shot not in self.raw.test_shots)

    @cached_property
    def seen_test_shots(self) -> tuple[str, ...]:
        """Test shots that the preprocessing run contains: its components were computed from them as well."""
        seen = {row.shot for row in self.listed_shots}
        seen.update(self.skin_coefficients.members, self.tongue_coefficients.members)
        return tuple(shot for shot in self.raw.test_shots if shot in seen)

    @cached_property
    def skin(self) -> PcaComponents:
        """PCA components of the skin."""
        path = self.files.get("SKIN_PCA_SHAPES_FPATH")
        return self._run.skin if path is None else read_components(path)

    @cached_property
    def skin_metric(self) -> Float32Array | None:
        """Distances from coefficients of the skin (`geometry.pca.coefficient_metric`); None for PCA components."""
        found = coefficient_metric(self.skin.matrix)
        return None if found is None else np.asarray(found, np.float32)

    @cached_property
    def tongue(self) -> PcaComponents:
        """PCA components of the tongue; zeros for an actor without a tongue."""
        path = self.files.get("TONGUE_PCA_SHAPES_FPATH")
        return self._run.tongue if path is None else read_components(path)

    @cached_property
    def skin_coefficients(self) -> Archive:
        """Coefficients of the skin, per shot `[frames, components]`."""
        path = self.files.get("SKIN_PCA_COEFFS_FPATH")
        return self._run.skin_coefficients if path is None else Archive.open(path)

    @cached_property
    def tongue_coefficients(self) -> Archive:
        """Coefficients of the tongue, per shot `[frames, components]`."""
        path = self.files.get("TONGUE_PCA_COEFFS_FPATH")
        return self._run.tongue_coefficients if path is None else Archive.open(path)

    @cached_property
    def mean_geometry(self) -> Float32Array:
        """The normalised neutral face, float32 `[channels]`: skin, tongue, jaw, eyes."""
        path = self.files.get("MEAN_GEOMETRY_FPATH")
        values = self._run.mean_geometry if path is None else read_mean_geometry(path, self.info)
        return values.astype(np.float32)

    def animation(self, part: str) -> Archive | None:
        """The archive of a part's motion ("skin", "tongue", "jaw" or "eye"), by shot; None if it never moves."""
        if part == "skin":
            return self.skin_coefficients
        if part == "tongue":
            moves = any(row.shot in self.tongue_coefficients.members for row in self.listed_shots)
            return self.tongue_coefficients if moves else None
        return self.raw.jaw_animation if part == "jaw" else self.raw.eye_animation

    @property
    def clip_rows(self) -> tuple[ClipRow, ...]:
        """The default clips, for an empty CLIPS: the table of the preprocessing run, or every shot as one clip."""
        if self.artifacts is not None:
            return self.artifacts.clips
        return tuple(
            (row.actor, row.shot, (0, row.num_frames - 1), row.actor, "en", self.raw.audio_path(row.shot).name, 0)
            for row in self.shots
        )

    @property
    def _run(self) -> PreprocArtifacts:
        assert self.artifacts is not None  # open_sources checks that every file has a source
        return self.artifacts

    def origin_of(self, parameter: str) -> Path:
        """The override file of a parameter, or the run folder, for messages."""
        return self.files.get(parameter) or self._run.folder


def open_sources(
    dataset: Dataset, train: TrainSection, runs: Mapping[str, str] | None = None
) -> tuple[ActorSource, ...]:
    """Finds the data of all actors, in the order of ACTOR_NAMES.

    Args:
        dataset: the dataset section of a configuration.
        train: its training section.
        runs: preprocessing runs by actor, which override PREPROC_RUN_NAME_FULL: a resumed training uses the runs that
            it was started with.

    Raises:
        UserError: an actor has no finished preprocessing run of the configured data, or its data are inconsistent with
            each other or with another actor's.
    """
    named = {**train.PREPROC_RUN_NAME_FULL, **(runs or {})}
    sources = tuple(_open_source(actor, dataset, train, named.get(actor)) for actor in dataset.ACTOR_NAMES)
    for source in sources:
        _check_consistency(source)
        _warn_about_seen_test_shots(source)
    for source in sources[1:]:
        _check_compatibility(sources[0], source, train.TARGET_CHANNELS)
    return sources


def _open_source(actor: str, dataset: Dataset, train: TrainSection, run: str | None) -> ActorSource:
    parameters = [name for name in FILE_PARAMETERS if hasattr(train, name)]
    files = {name: getattr(train, name)[actor] for name in parameters if actor in getattr(train, name)}
    raw, artifacts = ActorDataset.open(actor, dataset), None
    if run is not None or len(files) < len(parameters):
        scale = {str(channel): value for channel, value in dataset.TRANSFORM_SCALE.get(actor, {}).items()}
        artifacts = find_run(raw, scale, run or LATEST, train.PREPROC_ROOT)
        LOGGER.info("%s: preprocessing run %s", actor, artifacts.folder.name)
    return ActorSource(actor, artifacts, files, raw)


def _check_consistency(source: ActorSource) -> None:
    """Checks that sizes, components and shots of one actor agree, since override files may come from other runs."""
    counts = source.info.counts
    for part, pca in (("skin", source.skin), ("tongue", source.tongue)):
        expected = (counts[f"num_shapes_{part}"], counts[f"num_verts_{part}"])
        if pca.matrix.shape[:2] != expected:
            raise UserError(
                f"holds {pca.matrix.shape[0]} components of {pca.matrix.shape[1]} {part} vertices, but "
                f"{source.origin_of('DATA_INFO_FPATH')} has {expected[0]} of {expected[1]}",
                path=source.origin_of(f"{part.upper()}_PCA_SHAPES_FPATH"),
                hint="Take all files of an actor from one preprocessing run.",
            )
    foreign = next((row for row in source.listed_shots if row.actor != source.actor), None)
    if foreign is not None:
        raise UserError(
            f"lists shot {foreign.shot!r} of actor {foreign.actor!r}, expected {source.actor!r} only",
            path=source.origin_of("SHOT_LIST_FPATH"),
        )


def _warn_about_seen_test_shots(source: ActorSource) -> None:
    """Warns where components were computed from test shots, since an evaluation on them is then too favourable."""
    seen = source.seen_test_shots if source.raw.test_shots else ()
    if seen:
        LOGGER.warning(
            "%s: %d of %d test shots are in its preprocessing run, whose components have seen them; their clips are "
            "left out. Preprocess again, so that the test set stays unseen",
            source.actor,
            len(seen),
            len(source.raw.test_shots),
        )


def _check_compatibility(one: ActorSource, other: ActorSource, channels: Sequence[str]) -> None:
    """Checks that two actors can share a network."""
    shared = {name: (words, "Actors of one network need the same topology.") for name, words in SHARED_COUNTS.items()}
    for channel, (name, words, parameter) in COMPONENT_COUNTS.items():
        if channel in channels:
            shared[name] = (words, f"Give both the same number with {parameter} in config_preproc.py.")
    for name, (words, hint) in shared.items():
        first, second = one.info.counts[name], other.info.counts[name]
        if first != second:
            raise UserError(
                f"actor {one.actor!r} has {first} {words} ({one.origin_of('DATA_INFO_FPATH')}), actor {other.actor!r} "
                f"has {second} ({other.origin_of('DATA_INFO_FPATH')})",
                hint=hint,
            )


def warn_of_missing_lists(
    source: ActorSource, train: TrainSection, needs: Iterable[tuple[str, VertexPairs | LipSize | None, str]]
) -> None:
    """Warns of losses that have no effect because the actor lacks their lists of vertices.

    Args:
        source: the actor.
        train: training section.
        needs: of each loss its parameter, the list that it needs, and the parameter of the list's file.
    """
    for switch, found, parameter in needs:
        if getattr(train, switch) and found is None:
            LOGGER.warning("%s: without %s, %s has no effect", source.actor, parameter, switch)
