"""Can several actors share one network? Compares what the checks of each found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audio2face.dataset.report import CheckReport, Finding, Severity


def compare_actors(reports: Sequence[CheckReport]) -> list[CheckReport]:
    """Adds a warning to each actor whose meshes have other vertices than the first one's.

    Args:
        reports: of the actors, in order.
    """
    compared = list(reports[:1])
    for report in reports[1:]:
        first = reports[0]
        new = [
            Finding(
                Severity.WARNING,
                "actors-differ",
                f"{report.actor} has {mine} {part} vertices, {first.actor} has {other}: one network cannot learn both",
                "Export all actors of a network with one topology, or train them apart.",
            )
            for part, mine, other in (
                ("skin", report.summary.num_verts_skin, first.summary.num_verts_skin),
                ("tongue", report.summary.num_verts_tongue, first.summary.num_verts_tongue),
            )
            if None not in (mine, other) and mine != other
        ]
        compared.append(replace(report, findings=(*report.findings, *new)))
    return compared
