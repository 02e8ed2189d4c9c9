"""What a dataset may hold besides: parts to draw, and phoneme times. Only that it is there and readable."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np

from audio2face.dataset.actor import PHONEME_TIMES_SUFFIX, ActorDataset
from audio2face.dataset.checks.blendshapes import check_names
from audio2face.dataset.report import Findings, first_few
from audio2face.geometry import canonical_polygons


def check_extras(dataset: ActorDataset, shots: Iterable[str], findings: Findings) -> None:
    """Checks the parts for drawing, and that every shot has its phoneme times."""
    parts = dataset.paths.get("EXTRA_PARTS_FPATH")
    if parts is not None:
        _check_parts(dataset, findings)
    root = dataset.paths.get("PHONEME_TIMES_ROOT")
    if root is None:
        return
    lacking = [shot for shot in shots if not (root / f"{shot}{PHONEME_TIMES_SUFFIX}").is_file()]
    if lacking:
        findings.warning(
            "phonemes-missing",
            f"has no {PHONEME_TIMES_SUFFIX} file for {first_few(lacking)}",
            "Add the phoneme times of these shots, or leave PHONEME_TIMES_ROOT out.",
            file=root,
            shot=lacking[0] if len(lacking) == 1 else None,
        )


def _check_parts(dataset: ActorDataset, findings: Findings) -> None:
    """Checks the arrays `<part>_vertices` and `<part>_faces`, and that the others are finite."""
    path = dataset.paths["EXTRA_PARTS_FPATH"]
    archive = findings.attempt(lambda: dataset.extra_parts, "file-unreadable", path)
    if archive is None:
        return
    check_names(archive.members, path, findings)
    for name in archive.members:
        array = findings.attempt(functools.partial(archive.read, name), "file-unreadable", path)
        if array is None or array.dtype.kind not in "fiu" or not array.size:
            continue
        if not np.isfinite(array).all():
            findings.error("not-finite", f"array {name!a} holds NaN or infinity", "Export it once more.", file=path)
        vertices = archive.members.get(f"{name.removesuffix('_faces')}_vertices")
        if not name.endswith("_faces") or vertices is None:
            continue
        count = vertices.shape[0] if vertices.shape else 0
        try:
            canonical_polygons(array, count)
        except ValueError as error:
            findings.error(
                "faces-range",
                f"array {name!a}: {error}",
                "Export vertices and faces of the part together, faces as vertex numbers counted from 0.",
                file=path,
            )
