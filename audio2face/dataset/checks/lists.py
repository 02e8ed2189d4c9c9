"""Checks that vertex lists are within the mesh, and that upper vertices are above lower ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from audio2face.animation.rigid import spans_a_plane
from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.report import Findings
from audio2face.dataset.checks.static import Static
from audio2face.dataset.checks.sweep import Openings
from audio2face.dataset.vertex_lists import LipSize, VertexPairs
from audio2face.types import Float32Array, Int64Array

_FEWEST_RIGID = 4


def check_ranges(
    dataset: ActorDataset, static: Static, skin_verts: int | None, tongue_verts: int | None, findings: Findings
) -> None:
    """Reports lists with vertices outside the mesh."""
    for parameter, lists, verts in (
        ("SKIN_LIP_DIST_VERTEX_LIST_FPATH", static.lip_dist, skin_verts),
        ("SKIN_EYE_DIST_VERTEX_LIST_FPATH", static.eye_dist, skin_verts),
        ("SKIN_LIP_SIZE_VERTEX_LIST_FPATH", static.lip_size, skin_verts),
    ):
        if lists is not None and verts is not None:
            _check_range(lists.all(), verts, dataset.paths[parameter], findings)
    rigid = static.tongue_rigid
    if rigid is not None:
        _check_rotation(rigid, static.tongue_neutral, dataset.paths["TONGUE_RIGID_VERTEX_LIST_FPATH"], findings)
        path = dataset.paths["TONGUE_RIGID_VERTEX_LIST_FPATH"]
        if tongue_verts is not None:
            _check_range(rigid, tongue_verts, path, findings)
        if len(np.unique(rigid)) < _FEWEST_RIGID:
            findings.error(
                "list-short",
                f"names {len(np.unique(rigid))} different vertices",
                f"Name at least {_FEWEST_RIGID} vertices of the tongue that move with the jaw only.",
                file=path,
            )
    if static.eye_dist is not None and len(static.eye_dist.upper) != 2:
        findings.warning(
            "list-length",
            f"has {len(static.eye_dist.upper)} pairs of lid vertices, expected one per eye",
            "Name one upper and one lower vertex for each of the two eyes.",
            file=dataset.paths["SKIN_EYE_DIST_VERTEX_LIST_FPATH"],
        )


def _check_rotation(rigid: Int64Array, neutral: Float32Array | None, path: Path, findings: Findings) -> None:
    """Reports vertices of the tongue's root that do not determine a rotation."""
    distinct = np.unique(rigid)
    if neutral is None or distinct.max() >= len(neutral) or len(distinct) < _FEWEST_RIGID:
        return
    if not spans_a_plane(neutral[distinct]):
        findings.error(
            "list-collinear",
            f"the {len(distinct)} vertices lie on one line: how the tongue turns with the jaw is left undetermined",
            "Name vertices all over the root of the tongue, better ten or more.",
            file=path,
        )


def openings(static: Static, skin_verts: int | None) -> dict[str, Openings]:
    """Returns the pairs to measure during the sweep, by their meaning; only those within the mesh."""
    pairs: dict[str, VertexPairs | None] = {"lips": static.lip_dist, "lids": static.eye_dist}
    if static.lip_size is not None:
        pairs |= _lip_size_pairs(static.lip_size)
    neutral = (
        static.skin_neutral if static.skin_neutral is not None and len(static.skin_neutral) == skin_verts else None
    )
    return {
        name: Openings.start(pair, neutral)
        for name, pair in pairs.items()
        if pair is not None and skin_verts is not None and pair.all().max() < skin_verts
    }


def check_openings(dataset: ActorDataset, measured: Mapping[str, Openings], findings: Findings) -> None:
    """Reports lists whose upper vertices are below the lower ones, judged by the neutral pose and all frames."""
    for name, parameter, above, below in (
        ("lips", "SKIN_LIP_DIST_VERTEX_LIST_FPATH", '"upper"', '"lower"'),
        ("lids", "SKIN_EYE_DIST_VERTEX_LIST_FPATH", '"upper"', '"lower"'),
        ("edges", "SKIN_LIP_SIZE_VERTEX_LIST_FPATH", '"top"', '"bottom"'),
        ("both lips", "SKIN_LIP_SIZE_VERTEX_LIST_FPATH", '"upper_lip"', '"lower_lip"'),
    ):
        if name in measured:
            _check_opening(measured[name], dataset.paths[parameter], above, below, findings)


def _check_opening(measured: Openings, path: Path, above: str, below: str, findings: Findings) -> None:
    heights = measured.heights()
    wrong = heights < 0
    if not wrong.any():
        return
    first = int(np.argmax(wrong))
    vertices = f"{measured.pairs.upper[first]} and {measured.pairs.lower[first]}"
    if wrong.all():
        findings.error(
            "list-swapped",
            f"{above} and {below} are exchanged: in all {len(wrong)} pairs the first is below the second, such as "
            f"vertices {vertices} by {-heights[first]:.2f} cm",
            f"Exchange {above} and {below} (+y must point up).",
            file=path,
            vertex=int(measured.pairs.upper[first]),
        )
    else:
        findings.warning(
            "list-mixed",
            f"in {int(wrong.sum())} of {len(wrong)} pairs the {above} vertex lies under the {below} one, such as "
            f"vertices {vertices} by {-heights[first]:.2f} cm",
            "Check the order of the vertices: the lists are paired by position.",
            file=path,
            vertex=int(measured.pairs.upper[first]),
        )


def _lip_size_pairs(lip_size: LipSize) -> dict[str, VertexPairs | None]:
    upper, lower = lip_size.upper_lip, lip_size.lower_lip
    edges = VertexPairs(np.concatenate([upper.upper, lower.upper]), np.concatenate([upper.lower, lower.lower]))
    if len(upper.upper) != len(lower.upper):
        return {"edges": edges}
    return {"edges": edges, "both lips": VertexPairs(upper.all(), lower.all())}


def _check_range(indices: Int64Array, verts: int, path: Path, findings: Findings) -> None:
    wrong = indices[indices >= verts]
    if len(wrong):
        findings.error(
            "list-range",
            f"names vertex {int(wrong[0])}, the mesh has {verts} vertices (0 to {verts - 1})",
            "Export the list from the mesh of the caches; numbers start at 0.",
            file=path,
            vertex=int(wrong[0]),
        )
