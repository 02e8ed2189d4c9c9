"""Artifacts of preprocessing that a configuration names file by file, outside any run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from audio2face.config import Dataset, TrainSection
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.errors import FileFormatError, UserError
from audio2face.io.arrays import Archive, read_json, read_points
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.network_data import ClipRow as ClipRow
from audio2face.preproc.network_data import DataInfo, PcaComponents, ShotRow
from audio2face.training.preproc_runs import LATEST, find_run
from audio2face.types import Float32Array, Float64Array


def read_data_info(path: Path) -> DataInfo:
    """Reads sizes and transforms; raises UserError (FileFormatError) where the file holds none."""
    try:
        return DataInfo.from_json(read_json(path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"is no data info: {error}", path=path) from error


def read_shots(path: Path) -> tuple[ShotRow, ...]:
    """Reads a shot list; raises UserError (FileFormatError) where the file holds none."""
    try:
        return tuple(
            ShotRow(str(actor), str(shot), int(length), float(fps), str(emotion))
            for actor, shot, length, fps, emotion in read_json(path)
        )
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"is no list of shots: {error}", path=path) from error


def read_shapes(path: Path) -> PcaComponents:
    """Reads shapes; raises UserError (FileFormatError) where the file holds none."""
    archive = Archive.open(path)
    mean = archive.read_floats("shapes_mean", (None, 3))
    return PcaComponents(archive.read_floats("shapes_matrix", (None, len(mean), 3)), mean)


def read_mean_geometry(path: Path, info: DataInfo) -> Float64Array:
    """Reads the normalised face at rest, float64 `[values]`; raises UserError where its length does not fit."""
    counts = info.counts
    points = counts["num_verts_skin"] + counts["num_verts_tongue"] + counts["num_keypoints_jaw"]
    return read_points(path, (3 * points + 2 * counts["num_angles_eye"],)).astype(np.float64)


# Parameters that name one file of an actor in place of that of its preprocessing run. Regression lacks the last.
FILE_PARAMETERS = (
    "SKIN_PCA_COEFFS_FPATH",
    "SKIN_PCA_SHAPES_FPATH",
    "TONGUE_PCA_COEFFS_FPATH",
    "TONGUE_PCA_SHAPES_FPATH",
    "DATA_INFO_FPATH",
    "SHOT_LIST_FPATH",
    "MEAN_GEOMETRY_FPATH",
)
# What all actors of a network must have alike, and in words. The number of shapes matters only to networks that
# predict coefficients.
SHARED_COUNTS = {
    "num_verts_skin": "skin vertices",
    "num_verts_tongue": "tongue vertices",
    "num_keypoints_jaw": "key points of the jaw",
    "num_angles_eye": "angles of an eye",
}
SHAPE_COUNTS = {
    "skin_coeffs": ("num_shapes_skin", "skin shapes", "SKIN_FORCE_COMPONENTS"),
    "tongue_coeffs": ("num_shapes_tongue", "tongue shapes", "TONGUE_FORCE_COMPONENTS"),
}


@dataclass(frozen=True)
class ActorSource:
    """What training reads of one actor; files are read when they are asked for.

    Attributes:
        actor: name of the actor.
        artifacts: its preprocessing run; None where every file of one is named singly.
        files: the files that are named singly, by parameter.
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
    def shots(self) -> tuple[ShotRow, ...]:
        """All shots in order."""
        path = self.files.get("SHOT_LIST_FPATH")
        return self._run.shots if path is None else read_shots(path)

    @cached_property
    def skin(self) -> PcaComponents:
        """Shapes of the skin."""
        path = self.files.get("SKIN_PCA_SHAPES_FPATH")
        return self._run.skin if path is None else read_shapes(path)

    @cached_property
    def tongue(self) -> PcaComponents:
        """Shapes of the tongue; zeros for an actor without one."""
        path = self.files.get("TONGUE_PCA_SHAPES_FPATH")
        return self._run.tongue if path is None else read_shapes(path)

    @cached_property
    def skin_coefficients(self) -> Archive:
        """Coefficients of the skin, per shot `[frames, shapes]`."""
        path = self.files.get("SKIN_PCA_COEFFS_FPATH")
        return self._run.skin_coefficients if path is None else Archive.open(path)

    @cached_property
    def tongue_coefficients(self) -> Archive:
        """Coefficients of the tongue, per shot `[frames, shapes]`."""
        path = self.files.get("TONGUE_PCA_COEFFS_FPATH")
        return self._run.tongue_coefficients if path is None else Archive.open(path)

    @cached_property
    def mean_geometry(self) -> Float32Array:
        """The normalised face at rest, float32 `[values]`: skin, tongue, jaw, eyes."""
        path = self.files.get("MEAN_GEOMETRY_FPATH")
        values = self._run.mean_geometry if path is None else read_mean_geometry(path, self.info)
        return values.astype(np.float32)

    def animation(self, part: str) -> Archive | None:
        """The archive of a part's motion ("skin", "tongue", "jaw" or "eye"), by shot; None where it never moves."""
        if part == "skin":
            return self.skin_coefficients
        if part == "tongue":
            moves = any(row.shot in self.tongue_coefficients.members for row in self.shots)
            return self.tongue_coefficients if moves else None
        return self.raw.jaw_animation if part == "jaw" else self.raw.eye_animation

    @property
    def clip_rows(self) -> tuple[ClipRow, ...]:
        """The clips to learn from where the configuration names none: the run's own table, or every shot whole."""
        if self.artifacts is not None:
            return self.artifacts.clips
        return tuple(
            (row.actor, row.shot, (0, row.num_frames - 1), row.actor, "en", self.raw.audio_path(row.shot).name, 0)
            for row in self.shots
        )

    @property
    def _run(self) -> PreprocArtifacts:
        assert self.artifacts is not None  # open_sources made sure that nothing is missing
        return self.artifacts

    def origin_of(self, parameter: str) -> Path:
        """The file, or the run folder, that a kind of data comes from, for messages."""
        return self.files.get(parameter) or self._run.folder


def open_sources(
    dataset: Dataset, train: TrainSection, runs: Mapping[str, str] | None = None
) -> tuple[ActorSource, ...]:
    """Finds the data of all actors, in the order of ACTOR_NAMES.

    Args:
        dataset: the dataset section of a configuration.
        train: its training section.
        runs: preprocessing runs by actor, which go before PREPROC_RUN_NAME_FULL: a training that is gone on with keeps
            to those that it was begun with.

    Raises:
        UserError: an actor has no finished preprocessing run of the data that the configuration names, or its data do
            not fit each other or the other actors'.
    """
    named = {**train.PREPROC_RUN_NAME_FULL, **(runs or {})}
    sources = tuple(_open_source(actor, dataset, train, named.get(actor)) for actor in dataset.ACTOR_NAMES)
    for source in sources:
        _check_whole(source)
    for source in sources[1:]:
        _check_agreement(sources[0], source, train.TARGET_CHANNELS)
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


def _check_whole(source: ActorSource) -> None:
    """Checks that sizes, shapes and shots of one actor fit, which they may not where single files are named."""
    counts = source.info.counts
    for part, shapes in (("skin", source.skin), ("tongue", source.tongue)):
        told = (counts[f"num_shapes_{part}"], counts[f"num_verts_{part}"])
        if shapes.matrix.shape[:2] != told:
            raise UserError(
                f"holds {shapes.matrix.shape[0]} shapes of {shapes.matrix.shape[1]} {part} vertices, but "
                f"{source.origin_of('DATA_INFO_FPATH')} says {told[0]} of {told[1]}",
                path=source.origin_of(f"{part.upper()}_PCA_SHAPES_FPATH"),
                hint="Take all files of an actor from one preprocessing run.",
            )
    stranger = next((row for row in source.shots if row.actor != source.actor), None)
    if stranger is not None:
        raise UserError(
            f"lists shot {stranger.shot!r} of actor {stranger.actor!r}, expected {source.actor!r} only",
            path=source.origin_of("SHOT_LIST_FPATH"),
        )


def _check_agreement(one: ActorSource, other: ActorSource, channels: Sequence[str]) -> None:
    """Checks that two actors can share a network."""
    alike = {name: (words, "Actors of one network need the same topology.") for name, words in SHARED_COUNTS.items()}
    for channel, (name, words, parameter) in SHAPE_COUNTS.items():
        if channel in channels:
            alike[name] = (words, f"Give both the same number with {parameter} in config_preproc.py.")
    for name, (words, hint) in alike.items():
        mine, others = one.info.counts[name], other.info.counts[name]
        if mine != others:
            raise UserError(
                f"actor {one.actor!r} has {mine} {words} ({one.origin_of('DATA_INFO_FPATH')}), actor {other.actor!r} "
                f"has {others} ({other.origin_of('DATA_INFO_FPATH')})",
                hint=hint,
            )
