"""The data record of a preprocessing run: its input files by content, comparable with a configuration's data.

Two configurations may use one actor name for different data; training distinguishes their runs by this record. Files
are compared by content, so that a dataset that was moved or copied counts as the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.geometry import list_shots

RECORD_STEM = "data_set"  # of the file in `configs/`
CACHE_ROOTS = {"SKIN_CACHE_ROOT": "skin", "TONGUE_CACHE_ROOT": "tongue"}  # their shots are listed individually

# Configured for the actor, but read only by training. The jaw's motion is read for an actor with a tongue.
_NOT_READ = ("AUDIO_ROOT", "EYE_ANIM_DATA_FPATH", "PHONEME_TIMES_ROOT")
_JAW_MOTION = "JAW_ANIM_DATA_FPATH"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileStamp:
    """Identity of one file.

    Attributes:
        name: path below that of its parameter; the file's own name if the parameter names a file.
        size: in bytes.
        modified_ns: time of the last change, in nanoseconds.
        sha256: digest of the content.
    """

    name: str
    size: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True)
class RecordedSource:
    """Recorded files of one parameter of the dataset.

    Attributes:
        path: the resolved path.
        files: the files that were read.
        every_shot: for a folder of caches, whether all of its shots outside of the test set were read.
    """

    path: str
    files: tuple[FileStamp, ...]
    every_shot: bool = False


@dataclass(frozen=True)
class DataRecord:
    """The input data of one actor in a run.

    Attributes:
        sources: recorded files by parameter.
        facts: settings of the data: frame rate, emotions of the shots, transform scale, channels.
    """

    sources: Mapping[str, RecordedSource]
    facts: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The record as JSON."""
        return {"sources": {name: asdict(source) for name, source in self.sources.items()}, "facts": dict(self.facts)}


@dataclass(frozen=True)
class CurrentData:
    """The current input data of one actor, according to a configuration.

    Attributes:
        dataset: the actor's data.
        transform_scale: TRANSFORM_SCALE of the actor.
    """

    dataset: ActorDataset
    transform_scale: Mapping[str, float]
    _digests: dict[Path, str] = field(default_factory=dict, repr=False, compare=False)

    def record(self, shots: Mapping[str, Sequence[str]]) -> DataRecord:
        """Reads all files once.

        Args:
            shots: the shots read from each folder of caches, by parameter.

        Raises:
            UserError: a file cannot be read.
        """
        sources = {}
        for name, path in read_paths(self.dataset).items():
            if name in CACHE_ROOTS:
                own = shots.get(name, ())
                stamps = [self._stamp(path, file) for shot in own for file in shot_files(path, shot)]
                every = bool(own) and set(own) == set(list_shots(path)).difference(self.dataset.test_shots)
                sources[name] = RecordedSource(str(path), tuple(stamps), every)
            else:
                sources[name] = RecordedSource(str(path), (self._stamp(path.parent, path),))
        return DataRecord(sources, self.facts(shots["SKIN_CACHE_ROOT"]))

    def facts(self, shots: Iterable[str]) -> dict[str, Any]:
        """Returns the settings of the data, for `DataRecord.facts`."""
        dataset = self.dataset
        return {
            "CACHE_FPS": dataset.fps,
            "SHOT_EMOTION_MAP": {shot: _emotion(dataset, shot) for shot in shots},
            "TRANSFORM_SCALE": {str(channel): float(value) for channel, value in self.transform_scale.items()},
            "SKIN_CACHE_CHANNEL": dataset.channels.get("skin"),
            "TONGUE_CACHE_CHANNEL": dataset.channels.get("tongue"),
        }

    def differences(self, record: DataRecord) -> list[str]:
        """Lists differences from the data that a run recorded, one line per parameter; empty if there are none.

        Files of the recorded path, size and time count as unchanged; others are read.
        """
        now = read_paths(self.dataset)
        found = [f"{name} is configured now" for name in now if name not in record.sources]
        for name, source in record.sources.items():
            text = self._difference(source, now.get(name))
            if text is not None:
                found.append(f"{name} {text}")
        facts = self.facts(record.facts.get("SHOT_EMOTION_MAP", ()))
        return found + [
            _fact(name, facts.get(name), was) for name, was in record.facts.items() if facts.get(name) != was
        ]

    def has_seen_test_shots(self, record: DataRecord) -> bool:
        """Whether a run was made from shots of the test set too."""
        stamps = (stamp for name in CACHE_ROOTS if name in record.sources for stamp in record.sources[name].files)
        return not {stamp.name.partition("/")[0] for stamp in stamps}.isdisjoint(self.dataset.test_shots)

    def _difference(self, source: RecordedSource, path: Path | None) -> str | None:
        if path is None:
            return f"was {source.path} and is not configured now"
        text = next(filter(None, (self._changed(source, stamp, path) for stamp in source.files)), None)
        if text is None and source.every_shot:
            known = {stamp.name.partition("/")[0] for stamp in source.files}
            known.update(self.dataset.test_shots)  # of which the run needs to know nothing
            added = [shot for shot in _shots(path) if shot not in known]
            text = f"has shot {added[0]!r}, which the run did not" if added else None
        if text is None or source.path == str(path):
            return text
        return f"is {path}, was {source.path}: {text}"

    def _changed(self, source: RecordedSource, stamp: FileStamp, path: Path) -> str | None:
        file = path if path.is_file() else path / stamp.name
        try:
            status = file.stat()
            if status.st_size == stamp.size:
                in_place = source.path == str(path) and status.st_mtime_ns == stamp.modified_ns
                if in_place or self._digest(file) == stamp.sha256:
                    return None
        except OSError:
            return f"has no {stamp.name}"
        return f"has another {stamp.name}"

    def _stamp(self, root: Path, file: Path) -> FileStamp:
        try:
            status = file.stat()
            digest = self._digest(file)
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", path=file) from error
        return FileStamp(file.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns, digest)

    def _digest(self, file: Path) -> str:
        if file not in self._digests:
            digest = hashlib.sha256()
            with file.open("rb") as handle:
                while chunk := handle.read(_CHUNK):
                    digest.update(chunk)
            self._digests[file] = digest.hexdigest()
        return self._digests[file]


def read_paths(dataset: ActorDataset) -> dict[str, Path]:
    """Returns the paths that preprocessing reads of an actor, by parameter."""
    paths = {name: path for name, path in dataset.paths.items() if name not in _NOT_READ}
    if not dataset.has_tongue:
        paths.pop(_JAW_MOTION, None)
    return paths


def shot_files(root: Path, shot: str) -> Iterator[Path]:
    """Yields the files of a shot below a folder of caches: all files of its folder, since a Maya cache has several."""
    return (path for path in sorted((root / shot).iterdir()) if path.is_file() and not path.name.startswith("."))


def read_record(folder: Path) -> DataRecord | None:
    """Reads the record in a run folder; None if it is missing or invalid."""
    try:
        content = json.loads((folder / "configs" / f"{RECORD_STEM}.json").read_text(encoding="utf-8"))
        sources = {
            str(name): RecordedSource(
                str(source["path"]),
                tuple(FileStamp(**stamp) for stamp in source["files"]),
                bool(source["every_shot"]),
            )
            for name, source in content["sources"].items()
        }
        return DataRecord(sources, {str(name): fact for name, fact in content["facts"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _emotion(dataset: ActorDataset, shot: str) -> str | None:
    try:
        return dataset.emotion_of(shot)
    except UserError:
        return None


def _shots(root: Path) -> list[str]:
    try:
        return list_shots(root)
    except UserError:
        return []


def _fact(name: str, now: object, was: object) -> str:
    if isinstance(now, Mapping) and isinstance(was, Mapping):
        key = next((key for key in {**was, **now} if was.get(key) != now.get(key)), None)
        return f"{name} gives {key!r} {_plain(now.get(key))}, gave {_plain(was.get(key))}"
    return f"{name} is {_plain(now)}, was {_plain(was)}"


def _plain(value: object) -> str:
    return "nothing" if value is None else repr(value)
