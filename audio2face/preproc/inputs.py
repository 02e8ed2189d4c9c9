"""The inputs of preprocessing one actor: opens and compares its caches, and computes a fingerprint of all inputs.

Reads only headers. Runs with equal fingerprints produce equal artifacts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from audio2face.config import Preproc
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset, CacheFolder
from audio2face.errors import UserError
from audio2face.geometry import PointCache, list_shots
from audio2face.preproc.artifacts import SCHEMA_VERSION
from audio2face.preproc.data_record import CACHE_ROOTS, CurrentData, DataRecord, read_paths

# Parameters without effect on the artifacts.
_WITHOUT_EFFECT = ("RUN_INFO", "PREPROC_OUTPUT_ROOT", "NUM_WORKERS")


@dataclass(frozen=True)
class ActorInputs:
    """Opened raw data and settings of one actor, without the shots of its test set.

    Attributes:
        dataset: the actor's data.
        settings: parameters of preprocessing.
        transform_scale: by channel, the largest absolute value after normalisation, as configured.
        skin: caches for components and coefficients, in the order of the artifacts.
        prune: caches for the selection of poses, of the same shots and lengths, possibly of a coarser mesh.
        tongue: caches of the tongue; empty for an actor without one.
    """

    dataset: ActorDataset
    settings: Preproc
    transform_scale: Mapping[str, float]
    skin: Mapping[str, PointCache]
    prune: Mapping[str, PointCache]
    tongue: Mapping[str, PointCache]

    @property
    def actor(self) -> str:
        """Name of the actor."""
        return self.dataset.actor

    @classmethod
    def open(
        cls, dataset: ActorDataset, settings: Preproc, transform_scale: Mapping[str, float] | None = None
    ) -> ActorInputs:
        """Opens the caches of all shots in use.

        Raises:
            UserError: a cache is missing or unreadable, shots differ in their vertices, the caches of a coarser mesh
                lack a shot or differ in length, or the test set is wrong.
        """
        actor, test = dataset.actor, frozenset(dataset.test_shots)
        skin = _open_all(dataset.skin_caches, settings.SKIN_CACHE_SHOTS.get(actor), "SKIN_CACHE_SHOTS", test)
        prune_root = settings.SKIN_PRUNE_CACHE_ROOT.get(actor)
        coarser = dataset.skin_caches if prune_root is None else CacheFolder(Path(prune_root))
        chosen = settings.SKIN_PRUNE_CACHE_SHOTS.get(actor, tuple(skin))
        prune = _open_all(coarser, chosen, "SKIN_PRUNE_CACHE_SHOTS", test)
        _compare(skin, prune)
        tongue: Mapping[str, PointCache] = {}
        if dataset.tongue_caches is not None:
            spoken = settings.TONGUE_CACHE_SHOTS.get(actor)
            tongue = _open_all(dataset.tongue_caches, spoken, "TONGUE_CACHE_SHOTS", test)
        return cls(dataset, settings, transform_scale or {}, skin, prune, tongue)

    @property
    def num_frames(self) -> int:
        """Number of frames of skin animation."""
        return sum(cache.num_frames for cache in self.skin.values())

    def fingerprint(self) -> str:
        """Returns a digest of every setting and input file that affects the artifacts.

        Files are identified by name, size and modification time; folders may be moved.
        """
        actor = self.actor
        given = {field.name: getattr(self.settings, field.name) for field in fields(self.settings)}
        own = {name: value.get(actor) if isinstance(value, Mapping) else value for name, value in given.items()}
        settings = {
            name: value
            for name, value in own.items()
            if name not in _WITHOUT_EFFECT
            and not isinstance(value, Path)  # files are stamped below
            and (name, value) != ("SKIN_BASIS", "pca")  # runs from before there was a choice stay valid
        }
        content = {
            "schema": SCHEMA_VERSION,
            "data_record": 1,  # earlier runs have none, and training would refuse them
            "actor": actor,
            "settings": settings,
            "transform_scale": dict(self.transform_scale),
            "fps": self.dataset.fps,
            **({"channels": dict(self.dataset.channels)} if self.dataset.channels else {}),
            "emotions": {shot: self.dataset.emotion_of(shot) for shot in self.skin},
            "voices": {voice: sorted(shots) for voice, shots in self.dataset.augmented_voices.items()},
            **({"recordings": dict(unusual)} if (unusual := self.dataset.unusual_recordings) else {}),
            **({"test_shots": list(test)} if (test := self.dataset.test_shots) else {}),
            "shots": [list(caches) for caches in (self.skin, self.prune, self.tongue)],
            "files": [[name, *_stamp(path)] for name, path in self._files()],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def data_record(self) -> DataRecord:
        """Returns the record of the input data, by content; reads every file once.

        Raises:
            UserError: a file cannot be read.
        """
        shots = {"SKIN_CACHE_ROOT": tuple(self.skin), "TONGUE_CACHE_ROOT": tuple(self.tongue)}
        return CurrentData(self.dataset, self.transform_scale).record(shots)

    def _files(self) -> Iterator[tuple[str, Path]]:
        """Yields every input file with its role."""
        for name, path in read_paths(self.dataset).items():
            if name not in CACHE_ROOTS:
                yield name, path
        mask = self.settings.SKIN_PRUNE_MESH_MASK_FPATH.get(self.actor)
        if mask is not None:
            yield "SKIN_PRUNE_MESH_MASK_FPATH", Path(mask)
        for kind, caches in (("skin", self.skin), ("prune", self.prune), ("tongue", self.tongue)):
            for cache in caches.values():
                # A Maya cache has several files: all files of the shot's folder count.
                for path in sorted(cache.path.parent.iterdir()):
                    yield kind, path


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", path=path) from error
    return path.name, status.st_size, status.st_mtime_ns


def _open_all(
    folder: CacheFolder, shots: Iterable[str] | None, parameter: str, test_shots: Collection[str]
) -> dict[str, PointCache]:
    """Opens the caches of the given shots, or of all shots, which must have the same number of vertices."""
    listed = list_shots(folder.root) if shots is None else list(shots)
    names = [name for name in listed if name not in test_shots]
    if not names:
        parameters = f"{parameter}, TEST_SHOTS and TEST_FRACTION" if listed else parameter
        raise UserError("there is no shot to process", path=folder.root, hint=f"Check the caches and {parameters}.")
    if len(set(names)) != len(names):
        raise UserError(f"{parameter} lists a shot more than once", hint="List every shot once.")
    caches = {name: folder.open(name) for name in names}
    verts = {cache.num_verts for cache in caches.values()}
    if len(verts) != 1:
        first = next(iter(caches.values()))
        other = next(cache for cache in caches.values() if cache.num_verts != first.num_verts)
        raise UserError(
            f"has {other.num_verts} vertices, {first.path.name} has {first.num_verts}",
            path=other.path,
            hint="Export all shots from the same mesh.",
        )
    return caches


def _compare(skin: Mapping[str, PointCache], prune: Mapping[str, PointCache]) -> None:
    """Checks that both sets of caches have the same frames: poses are selected in one and read from the other."""
    for name, cache in skin.items():
        if name not in prune:
            raise UserError(
                f"SKIN_PRUNE_CACHE_SHOTS lacks shot {name!r} of SKIN_CACHE_SHOTS",
                hint="List it there as well, or remove it from SKIN_CACHE_SHOTS.",
            )
        if prune[name].num_frames != cache.num_frames:
            raise UserError(
                f"has {prune[name].num_frames} frames, {cache.path} has {cache.num_frames}",
                path=prune[name].path,
                hint="Export the coarser mesh over the same frames.",
            )
    extra = [name for name in prune if name not in skin]
    if extra:
        LOGGER.warning(
            "%d shots of SKIN_PRUNE_CACHE_SHOTS are not in SKIN_CACHE_SHOTS (such as %s): their poses are lost",
            len(extra),
            extra[0],
        )
