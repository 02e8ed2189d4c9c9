"""The record of a run's test set: its shots, and checksums of the recordings and caches that an evaluation reads.

An evaluation compares the checksums, so that figures of one run cannot silently come from other data than those of the
next. A run without a test set has no record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio2face.config import Configuration, Roots
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.errors import FileFormatError, UserError
from audio2face.io.arrays import read_json
from audio2face.io.atomic import file_sha256, write_json
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.data_record import shot_files
from audio2face.training.data.actors import ActorSource
from audio2face.training.run_folder import Origin, read_origins, read_validation

TEST_FILE = "configs/test_shots.json"  # of a run folder


@dataclass(frozen=True)
class HashedFile:
    """A file, and the SHA-256 that it had when training started.

    Attributes:
        path: the file.
        sha256: digest of its content, in hexadecimal.
    """

    path: Path
    sha256: str


@dataclass(frozen=True, kw_only=True)
class HeldOutShot:
    """A shot of the test set.

    Attributes:
        actor: name of the actor.
        shot: name of the shot.
        emotion: its emotion.
        in_preprocessing: whether the preprocessing run contains it: components were then computed from its poses too.
        recordings: its recording, and those of other voices; empty for a shot without any.
        skin: the files of its cache.
    """

    actor: str
    shot: str
    emotion: str
    in_preprocessing: bool
    recordings: tuple[HashedFile, ...]
    skin: tuple[HashedFile, ...]


@dataclass(frozen=True)
class SplitRecord:
    """The test set of a run, and the recordings of its validation set.

    Attributes:
        test: the test shots of all actors, in the order of the network.
        validation: recordings of the validation clips, each once.
    """

    test: tuple[HeldOutShot, ...]
    validation: tuple[HashedFile, ...]

    @property
    def is_unseen(self) -> bool:
        """Whether preprocessing left out every test shot, as training always does."""
        return not any(shot.in_preprocessing for shot in self.test)

    @property
    def files(self) -> tuple[HashedFile, ...]:
        """All files of the test set."""
        return tuple(file for shot in self.test for file in (*shot.recordings, *shot.skin))


def changed_files(files: Iterable[HashedFile]) -> tuple[Path, ...]:
    """The files that are missing or have another content than at the start of training; reads every file once."""
    return tuple(file.path for file in files if not file.path.is_file() or file_sha256(file.path) != file.sha256)


def record_split(run: Path, configuration: Configuration) -> None:
    """Writes the record of a new run that has a test set.

    Args:
        run: the run folder, with the records of preprocessing runs and validation clips.
        configuration: for stage "train".

    Raises:
        UserError: a file of the test set cannot be read.
    """
    actors = [ActorDataset.open(actor, configuration.dataset) for actor in configuration.dataset.ACTOR_NAMES]
    if not any(actor.test_shots for actor in actors):
        return
    roots = configuration.roots
    origins = read_origins(run, roots, configuration.train.PREPROC_ROOT)
    LOGGER.info("computing checksums of the test set")
    test = [shot for actor in actors for shot in _shots(actor, origins[actor.actor])]
    audio = dict.fromkeys(clip.audio for clip in read_validation(run, roots) or ())
    record = SplitRecord(tuple(test), _hashed(audio))
    write_json(run / TEST_FILE, _as_json(record, roots))


def check_split(run: Path, configuration: Configuration) -> None:
    """Makes sure that a resumed run leaves out the shots that it left out before.

    TEST_FRACTION draws from the shots that there are: with shots that were added or renamed since, it may draw others.

    Args:
        run: the run folder.
        configuration: for stage "train".

    Raises:
        UserError: the test set is another one than the run recorded.
    """
    record = read_test_shots(run, configuration.roots)
    before = set() if record is None else {(shot.actor, shot.shot) for shot in record.test}
    actors = [ActorDataset.open(actor, configuration.dataset) for actor in configuration.dataset.ACTOR_NAMES]
    now = {(actor.actor, shot) for actor in actors for shot in actor.test_shots}
    if before != now:
        actor, shot = min(before ^ now)
        was = "was in its test set and is not now" if (actor, shot) in before else "is in the test set and was not"
        raise UserError(
            f"was started with another test set: shot {shot!r} of actor {actor!r} {was}",
            path=run,
            hint="Shots or emotions have changed since. Restore them to resume this run, or start a new one.",
        )


def _shots(actor: ActorDataset, origin: Origin) -> list[HeldOutShot]:
    artifacts = None if origin.folder is None else PreprocArtifacts.open(origin.folder)
    seen = ActorSource(actor.actor, artifacts, origin.files, actor).seen_test_shots if actor.test_shots else ()
    return [
        HeldOutShot(
            actor=actor.actor,
            shot=shot,
            emotion=actor.emotion_of(shot),
            in_preprocessing=shot in seen,
            recordings=_hashed(_recordings(actor, shot)),
            skin=_hashed(shot_files(actor.paths["SKIN_CACHE_ROOT"], shot)),
        )
        for shot in actor.test_shots
    ]


def _recordings(actor: ActorDataset, shot: str) -> list[Path]:
    own = [actor.audio_path(shot)] if actor.has_recording(shot) else []
    return own + [spoken[shot] for spoken in actor.augmented_voices.values() if shot in spoken]


def _hashed(paths: Iterable[Path]) -> tuple[HashedFile, ...]:
    return tuple(HashedFile(path, file_sha256(path)) for path in paths)


def read_test_shots(run_folder: Path, roots: Roots) -> SplitRecord | None:
    """Reads the test set of a training run; None for a run without one.

    Args:
        run_folder: the training run.
        roots: folders of datasets and workspace.

    Raises:
        UserError: the file cannot be read, or (FileFormatError) holds something else.
    """
    path = run_folder / TEST_FILE
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        test = tuple(
            HeldOutShot(
                actor=str(row["actor"]),
                shot=str(row["shot"]),
                emotion=str(row["emotion"]),
                in_preprocessing=bool(row["in_preprocessing"]),
                recordings=_read_files(row["recordings"], roots),
                skin=_read_files(row["skin"], roots),
            )
            for row in content["test"]
        )
        return SplitRecord(test, _read_files(content["validation"], roots))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"is no record of a test set: {error}", path=path) from error


def _read_files(rows: Any, roots: Roots) -> tuple[HashedFile, ...]:
    return tuple(HashedFile(roots.resolve(row["path"], "datasets"), str(row["sha256"])) for row in rows)


def _as_json(record: SplitRecord, roots: Roots) -> dict[str, Any]:
    """The record as JSON; paths below the roots are portable."""

    def files(hashed: Iterable[HashedFile]) -> list[dict[str, str]]:
        return [{"path": roots.portable(file.path), "sha256": file.sha256} for file in hashed]

    return {
        "test": [
            {
                "actor": shot.actor,
                "shot": shot.shot,
                "emotion": shot.emotion,
                "in_preprocessing": shot.in_preprocessing,
                "recordings": files(shot.recordings),
                "skin": files(shot.skin),
            }
            for shot in record.test
        ],
        "validation": files(record.validation),
    }
