"""Artifacts of preprocessing that a configuration names file by file, outside any run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.dataset.arrays import Archive, read_json, read_points
from audio2face.errors import FileFormatError
from audio2face.preproc.deploy_data import DataInfo, PcaShapes, ShotRow


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


def read_shapes(path: Path) -> PcaShapes:
    """Reads shapes; raises UserError (FileFormatError) where the file holds none."""
    archive = Archive.open(path)
    mean = archive.read_floats("shapes_mean", (None, 3))
    return PcaShapes(archive.read_floats("shapes_matrix", (None, len(mean), 3)), mean)


def read_mean_geometry(path: Path, info: DataInfo) -> npt.NDArray[np.float64]:
    """Reads the normalised face at rest, float64 `[values]`; raises UserError where its length does not fit."""
    counts = info.counts
    points = counts["num_verts_skin"] + counts["num_verts_tongue"] + counts["num_keypoints_jaw"]
    return read_points(path, (3 * points + 2 * counts["num_angles_eye"],)).astype(np.float64)
