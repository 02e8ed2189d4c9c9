"""What a dataset may hold besides: parts to draw, and phoneme times. Only that it is there and readable."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.audio.phonemes import ENGLISH, plain_symbol
from audio2face.dataset.actor import PHONEME_TIMES_SUFFIX, ActorDataset
from audio2face.dataset.arrays import Archive
from audio2face.dataset.checks.blendshapes import check_names
from audio2face.dataset.phoneme_times import read_phoneme_times
from audio2face.dataset.report import Findings, first_few
from audio2face.geometry import canonical_polygons

_MOSTLY_ENGLISH = 0.8


def check_extras(dataset: ActorDataset, shots: tuple[str, ...], findings: Findings) -> None:
    """Checks the parts for drawing, and that every shot has its phoneme times."""
    parts = dataset.paths.get("EXTRA_PARTS_FPATH")
    if parts is not None:
        _check_parts(dataset, findings)
    root = dataset.paths.get("PHONEME_TIMES_ROOT")
    if root is None:
        return
    _check_phonemes(root, shots, findings)
    lacking = [shot for shot in shots if not (root / f"{shot}{PHONEME_TIMES_SUFFIX}").is_file()]
    if lacking:
        findings.warning(
            "phonemes-missing",
            f"has no {PHONEME_TIMES_SUFFIX} file for {first_few(lacking)}",
            "Add the phoneme times of these shots, or leave PHONEME_TIMES_ROOT out.",
            file=root,
            shot=lacking[0] if len(lacking) == 1 else None,
        )


def _check_phonemes(root: Path, shots: Iterable[str], findings: Findings) -> None:
    """Reads the phoneme times of all shots; where nearly all phones are English, the others are mistakes."""
    places: dict[str, tuple[str, int]] = {}
    for shot in shots:
        path = root / f"{shot}{PHONEME_TIMES_SUFFIX}"
        read = functools.partial(read_phoneme_times, path)
        times = findings.attempt(read, "phonemes-unreadable", path, shot) if path.is_file() else None
        for time in times or ():
            _, count = places.get(time.symbol, (shot, 0))
            places[time.symbol] = (places.get(time.symbol, (shot, 0))[0], count + 1)
    strange = {symbol for symbol in places if plain_symbol(symbol, "en") not in ENGLISH.symbols}
    known = sum(count for symbol, (_, count) in places.items() if symbol not in strange)
    if not strange or known < _MOSTLY_ENGLISH * sum(count for _, count in places.values()):
        return
    shot = places[min(strange)][0]
    findings.error(
        "phonemes-unknown",
        f"{first_few(sorted(strange))} is no phone of 'en', unlike {known} others",
        f"Phones: {' '.join(ENGLISH.symbols)}, or IPA.",
        file=root / f"{shot}{PHONEME_TIMES_SUFFIX}",
        shot=shot,
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
        _check_shape(archive, name, array, findings)
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


def _check_shape(archive: Archive, name: str, array: npt.NDArray[Any], findings: Findings) -> None:
    """Reports vertices, colours and centres of eyes of a shape that drawing could not use."""
    vertices = archive.members.get(f"{name.removesuffix('_colours')}_vertices")
    expected: tuple[int | None, ...] | None = None
    if name.endswith("_vertices"):
        expected = (None, 3)
    elif name == "eye_centres":
        expected = (2, 3)
    elif name.endswith("_colours"):
        expected = (vertices.shape[0] if vertices is not None and vertices.shape else None, 3)
    fits = expected is None or (
        array.ndim == len(expected)
        and all(want in (None, have) for want, have in zip(expected, array.shape, strict=True))
    )
    if not fits:
        findings.error(
            "part-shape",
            f"array {name!a} has the shape {list(array.shape)}, expected "
            f"{['any' if length is None else length for length in expected or ()]}",
            "Export the part once more: <part>_vertices [n, 3], <part>_faces [faces, 3 or 4], <part>_colours [n, 3].",
            file=archive.path,
        )
    elif name.endswith("_colours") and not (0 <= array.min() <= array.max() <= 255):
        findings.error(
            "part-colours",
            f"array {name!a} goes from {array.min():g} to {array.max():g}, expected colours from 0 to 255",
            "Store sRGB colours as uint8.",
            file=archive.path,
        )
