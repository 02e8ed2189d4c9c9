"""Speed of importing films: decoding, MediaPipe's face landmarker, and what this project adds.

    .venv/bin/python -m benchmarks.film FILM face_landmarker.task [--pictures 500]

Takes a film of a face (the extra `capture` must be installed). Printed is the processor time per picture of each part:
decoding, MediaPipe with its results read, following one face, and making a take. The bounds are 25 pictures per second
for MediaPipe, and a tenth of its time for the last two.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from audio2face.importers.face_track import track_face
from audio2face.importers.film import Film, open_film
from audio2face.importers.film_process import keep_off_the_network
from audio2face.importers.landmarker import Face, open_landmarker
from audio2face.importers.video import take_of
from audio2face.rigs import open_rig
from audio2face.types import Picture


class Replayed:
    """Gives faces again that were found before."""

    def __init__(self, faces: list[list[Face]]) -> None:
        self._faces = iter(faces)

    def faces(self, picture: Picture, milliseconds: int) -> list[Face]:
        """See `Landmarker`."""
        return next(self._faces)


def endless(film: Film, count: int) -> Iterator[tuple[float, Picture]]:
    """The first pictures of a film, which is repeated, at 25 per second."""
    shown = (picture for _ in itertools.count() for _, picture in film.pictures())
    return ((number / 25, picture) for number, picture in enumerate(itertools.islice(shown, count)))


def seconds(work: Callable[[], object]) -> float:
    """Processor time of all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path, help="a film of a face")
    parser.add_argument("model", type=Path, help="face_landmarker.task")
    parser.add_argument("--pictures", type=int, default=500, help="how many are measured (default: 500)")
    args = parser.parse_args()
    keep_off_the_network(os.environ)
    film, count = open_film(args.film), args.pictures
    open_rig("example")  # loads what is loaded once
    decoding = seconds(lambda: sum(1 for _ in endless(film, count)))
    found: list[list[Face]] = []
    shown = list(endless(film, min(count, 100)))
    with open_landmarker(args.model) as landmarker:

        def find() -> None:
            for number in range(count):
                found.append(landmarker.faces(shown[number % len(shown)][1], 40 * number))

        finding = seconds(find)
    replayed = ((number / 25, shown[number % len(shown)][1]) for number in range(count))
    tracks = []
    following = seconds(lambda: tracks.append(track_face(replayed, Replayed(found))))
    taking = seconds(lambda: take_of(tracks[0], film, "film", smoothing=0.2, keeps_rest=False))
    print(f"{count} pictures of {film.width} x {film.height} pixels, milliseconds of processor time per picture:")
    for name, spent in (("decoding", decoding), ("MediaPipe", finding), ("following", following), ("take", taking)):
        print(f"{name:<12}{1000 * spent / count:8.2f}")
    share = (following + taking) / finding
    print(f"MediaPipe: {count / finding:.0f} pictures per second; the last two: {share:.1%} of it")


if __name__ == "__main__":
    main()
