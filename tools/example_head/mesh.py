"""Walks over a quad mesh: edge loops, and the region a loop encloses."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from audio2face.errors import UserError
from tools.example_head.source import Indices, Points


class QuadMesh:
    """Neighbourhoods of a mesh of quads, built once.

    Args:
        faces: `[faces, 4]` vertex indices.
    """

    def __init__(self, faces: Indices) -> None:
        self._neighbours: dict[int, set[int]] = defaultdict(set)
        self._faces_of_edge: dict[frozenset[int], set[int]] = defaultdict(set)
        for number, face in enumerate(faces.tolist()):
            for here, there in zip(face, face[1:] + face[:1], strict=True):
                self._neighbours[here].add(there)
                self._neighbours[there].add(here)
                self._faces_of_edge[frozenset((here, there))].add(number)

    def loop(self, start: int, vertices: Points) -> list[int]:
        """The closed edge loop through `start` that leaves it towards +x, most sideways first.

        At a vertex with four neighbours the loop goes on along the edge that shares no face with the one it came by.

        Raises:
            UserError: no loop through `start` closes.
        """
        for neighbour in sorted(self._neighbours[start], key=lambda vertex: -vertices[vertex, 0]):
            path = [start, neighbour]
            while (following := self._straight_on(path[-2], path[-1])) is not None:
                if following == start:
                    return path
                path.append(following)
        raise UserError(f"no closed edge loop passes through vertex {start}")

    def _straight_on(self, before: int, here: int) -> int | None:
        if len(self._neighbours[here]) != 4:
            return None
        beside = self._faces_of_edge[frozenset((before, here))]
        ahead = [
            vertex
            for vertex in self._neighbours[here]
            if vertex != before and not self._faces_of_edge[frozenset((here, vertex))] & beside
        ]
        return ahead[0] if len(ahead) == 1 else None

    def enclosed(self, seed: int, border: Iterable[int]) -> set[int]:
        """All vertices reached from `seed` without crossing `border`, and the border itself."""
        reached = {seed, *border}
        waiting = deque([seed])
        while waiting:
            for vertex in self._neighbours[waiting.popleft()]:
                if vertex not in reached:
                    reached.add(vertex)
                    waiting.append(vertex)
        return reached
