"""The shots of an evaluation: recordings, and the recorded motion they are compared with.

A shot comes from the test or validation set of a training run, or from a raw data set folder of the same mesh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.audio import read_header
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.dataset.actor import REQUIRED_PATHS, TONGUE_PATHS
from audio2face.dataset.discovery import FoundActor, find_actors
from audio2face.dataset.phoneme_times import PhonemeTime, find_phoneme_times, read_phoneme_times
from audio2face.dataset.shots import CacheFolder, infer_emotion
from audio2face.errors import UserError
from audio2face.evaluate.scorer import FaceFrames
from audio2face.geometry import PointCache
from audio2face.io.atomic import file_sha256
from audio2face.preproc.data_record import CACHE_ROOTS, shot_files
from audio2face.types import Float32Array

BLOCK_FRAMES = 32
_SAME_MESH = "Evaluate on data of the mesh that the network was trained on."
# What differs between data sets of one mesh: recordings and motion; poses and vertex lists are the mesh's own.
_ARCHIVES = ("JAW_ANIM_DATA_FPATH", "EYE_ANIM_DATA_FPATH")
_OF_SHOTS = (*REQUIRED_PATHS, "TONGUE_CACHE_ROOT", *_ARCHIVES, "PHONEME_TIMES_ROOT")


@dataclass(frozen=True, kw_only=True)
class EvaluationShot:
    """One recording with its ground truth.

    Attributes:
        name: unique in an evaluation.
        shot: name of the shot in the data set.
        emotion: of the shot.
        voice: the speaker: the actor, or another voice.
        audio: the recording.
        audio_start: time of the first compared frame in the recording, in seconds.
        first: first compared frame of the shot.
        num_frames: number of compared frames.
        dataset: the raw data with the recorded motion.
        phones: phoneme times within the recording; empty where there are none.
    """

    name: str
    shot: str
    emotion: str
    voice: str
    audio: Path
    audio_start: float = 0.0
    first: int = 0
    num_frames: int
    dataset: ActorDataset
    phones: tuple[PhonemeTime, ...] = field(default=(), repr=False)

    @property
    def actor(self) -> str:
        """Whose face is animated."""
        return self.dataset.actor

    @property
    def fps(self) -> float:
        """Rate of the recorded motion."""
        return self.dataset.fps

    @property
    def seconds(self) -> float:
        """Length of the compared part."""
        return self.num_frames / self.fps

    def shortened(self, seconds: float) -> EvaluationShot:
        """The beginning of the shot."""
        return replace(self, num_frames=min(self.num_frames, max(1, round(seconds * self.fps))))

    def renamed(self, name: str) -> EvaluationShot:
        """The same shot under another name."""
        return replace(self, name=name)

    def phones_of_part(self) -> tuple[PhonemeTime, ...]:
        """The phones, in seconds from the first compared frame."""
        start = self.audio_start
        return tuple(
            replace(phone, start=max(phone.start - start, 0.0), end=phone.end - start)
            for phone in self.phones
            if phone.end > start
        )

    def audio_sha256(self) -> str:
        """Checksum of the recording's file."""
        return file_sha256(self.audio)

    @property
    def lengths(self) -> tuple[float, float]:
        """Seconds of the whole recording, and of the whole motion."""
        return read_header(self.audio).duration, self.dataset.shot(self.shot).skin().num_frames / self.fps

    def fingerprint(self) -> list[Any]:
        """What its scores depend on, as JSON values: the recording by content, recorded motion by size and time."""
        paths = self.dataset.paths
        caches = [paths[name] for name in CACHE_ROOTS if name in paths and (paths[name] / self.shot).is_dir()]
        archives = [paths[name] for name in _ARCHIVES if name in paths]
        files = [file for root in caches for file in shot_files(root, self.shot)]
        motion = [path.stat() for path in (*files, *archives)]
        return [
            self.audio_sha256(),
            [(stat.st_size, stat.st_mtime_ns) for stat in motion],
            [self.actor, self.shot, self.emotion, self.audio_start, self.first, self.num_frames, self.fps],
            [(phone.symbol, phone.start, phone.end) for phone in self.phones],
        ]


class GroundTruth:
    """The recorded motion of a shot, read in blocks.

    Args:
        shot: the shot.
        num_verts: of the skin that it is compared with.

    Raises:
        UserError: a cache is missing or cannot be read, has fewer frames than the shot, or is of another mesh.
    """

    def __init__(self, shot: EvaluationShot, num_verts: int) -> None:
        files, data = shot.dataset.shot(shot.shot), shot.dataset
        self._shot = shot
        self._skin = _CacheOfShot.open(shot, files.skin_caches, num_verts)
        tongue = data.tongue_neutral
        self._tongue = (
            None
            if files.tongue_caches is None or tongue is None
            else _CacheOfShot.open(shot, files.tongue_caches, len(tongue))
        )
        self._jaw = files.jaw_deltas()
        neutral = data.jaw_keypoints_neutral
        if self._jaw is not None and neutral is not None and self._jaw.shape[1] != len(neutral):
            raise UserError(
                f"the jaw of shot {shot.shot!r} has {self._jaw.shape[1]} key points, that of the actor {len(neutral)}",
                path=data.paths["JAW_ANIM_DATA_FPATH"],
                hint=_SAME_MESH,
            )
        eyes = files.eye_rotations()
        self._eyes = None if eyes is None else eyes.reshape(len(eyes), -1)

    def read(self, start: int, stop: int) -> FaceFrames:
        """Frames `start` to `stop` (exclusive), counted from the first compared frame.

        Raises:
            UserError: a position is NaN or infinite.
        """
        rows = slice(self._shot.first + start, self._shot.first + stop)
        return FaceFrames(
            skin=self._skin.read(rows),
            tongue=None if self._tongue is None else self._tongue.read(rows),
            jaw=_whole(self._jaw, rows),
            eyes=_whole(self._eyes, rows),
        )

    def blocks(self, num_frames: int = BLOCK_FRAMES) -> Iterator[FaceFrames]:
        """All frames in blocks."""
        for start in range(0, self._shot.num_frames, num_frames):
            yield self.read(start, min(start + num_frames, self._shot.num_frames))


@dataclass(frozen=True, kw_only=True)
class _CacheOfShot:
    """The cache of one part of a shot, which has the frames and vertices that are compared."""

    path: Path
    cache: PointCache

    @classmethod
    def open(cls, shot: EvaluationShot, caches: CacheFolder, num_verts: int) -> _CacheOfShot:
        path, cache = caches.find(shot.shot).path, caches.open(shot.shot)
        if cache.num_verts != num_verts:
            raise UserError(
                f"has {cache.num_verts:,} vertices, that of actor {shot.actor!r} has {num_verts:,}",
                path=path,
                hint=_SAME_MESH,
            )
        last = shot.first + shot.num_frames
        if cache.num_frames < last:
            raise UserError(
                f"has {cache.num_frames} frames, expected {last} at least",
                path=path,
                hint="All parts of a shot have the frames of its skin, and those that training saw.",
            )
        return cls(path=path, cache=cache)

    def read(self, rows: slice) -> Float32Array:
        frames = self.cache.read(rows.start, rows.stop)
        if not np.isfinite(frames).all():
            broken = rows.start + int((~np.isfinite(frames)).any(axis=(1, 2)).argmax())
            raise UserError(f"is NaN or infinite in frame {broken}", path=self.path, hint="Export the cache again.")
        return frames


def _whole(values: Float32Array | None, rows: slice) -> Float32Array | None:
    """The rows; None where some are missing or not finite."""
    if values is None or len(values) < rows.stop or not np.isfinite(values[rows]).all():
        return None
    return values[rows]


def shot_of(
    dataset: ActorDataset,
    name: str,
    *,
    emotions: Sequence[str],
    default_emotion: str,
    audio: Path | None = None,
    voice: str | None = None,
) -> EvaluationShot:
    """A whole shot of a raw data set.

    Args:
        dataset: the data set.
        name: name of the shot.
        emotions: the vocabulary of the network.
        default_emotion: the emotion of a shot whose own is not in the vocabulary.
        audio: another recording of the same words at the same times; None: the shot's own.
        voice: its speaker; None: the actor.

    Raises:
        UserError: a file is missing or cannot be read.
    """
    files = dataset.shot(name)
    audio = files.audio if audio is None else audio
    seconds = read_header(audio).duration
    frames = min(files.skin().num_frames, max(1, round(seconds * dataset.fps)))
    emotion = files.emotion if files.emotion in emotions else infer_emotion(name, emotions) or default_emotion
    speaker = voice or dataset.actor
    return EvaluationShot(
        name=name if speaker == dataset.actor else f"{name} ({speaker})",
        shot=name,
        emotion=emotion,
        voice=speaker,
        audio=audio,
        num_frames=frames,
        dataset=dataset,
        phones=read_phones(dataset, name),
    )


def read_phones(dataset: ActorDataset, shot: str) -> tuple[PhonemeTime, ...]:
    """The phoneme times of a shot; empty without them."""
    root = dataset.paths.get("PHONEME_TIMES_ROOT")
    path = None if root is None else find_phoneme_times(root, shot)
    return () if path is None else read_phoneme_times(path)


def shots_of_folder(
    folder: Path, actor: ActorDataset, *, emotions: Sequence[str], default_emotion: str, fps: float | None = None
) -> tuple[EvaluationShot, ...]:
    """All shots of a raw data set folder whose mesh is that of an actor.

    Args:
        folder: of any layout that `audio2face init` understands.
        actor: the actor whose face is animated; it gives poses and vertex lists.
        emotions: the vocabulary of the network.
        default_emotion: the emotion of shots whose names tell of none.
        fps: rate of the folder's motion; None: as lengths and headers tell.

    Raises:
        UserError: the folder holds no data, its mesh is another, or its rate cannot be told.
    """
    shots: list[EvaluationShot] = []
    of_mesh = [name for name in actor.paths if name not in _OF_SHOTS]
    for found in find_actors(folder, of_mesh):
        dataset = _dataset_of(found, actor, fps)
        for name in found.shots:
            shot = shot_of(
                dataset, name, emotions=emotions, default_emotion=default_emotion, voice=_voice(found, folder, actor)
            )
            shots.append(replace(shot, name=name if name not in {each.name for each in shots} else shot.name))
        if found.unpaired:
            LOGGER.warning("%s: recordings and caches without a partner, left out: %d", found.name, found.unpaired)
    LOGGER.info("%s: %d shots, %.1f s", folder.name, len(shots), sum(shot.seconds for shot in shots))
    return tuple(shots)


def _voice(found: FoundActor, folder: Path, actor: ActorDataset) -> str:
    return actor.actor if found.folder.resolve() == folder.resolve() else found.name


def _dataset_of(found: FoundActor, actor: ActorDataset, fps: float | None) -> ActorDataset:
    expected = None if actor.skin_neutral is None else len(actor.skin_neutral)
    if expected is not None and found.num_verts != expected:
        raise UserError(
            f"its mesh has {found.num_verts:,} vertices, that of actor {actor.actor!r} has {expected:,}",
            path=found.folder,
            hint=_SAME_MESH,
        )
    rate = fps or found.rate
    if rate is None:
        raise UserError("its frame rate cannot be told", path=found.folder, hint="Give it: --fps 30")
    own = {name: path for name, path in found.paths.items() if name in _OF_SHOTS}
    kept = {name: path for name, path in actor.paths.items() if name not in _OF_SHOTS}
    if "TONGUE_CACHE_ROOT" not in own:  # the actor's tongue, if any, has no ground truth here
        kept = {name: path for name, path in kept.items() if name not in TONGUE_PATHS}
    return ActorDataset(
        actor=actor.actor,
        fps=rate,
        paths={**kept, **own},
        emotion_names=actor.emotion_names,
        emotion_overrides={},
        channels={},
    )


def check_unique(shots: Sequence[EvaluationShot]) -> None:
    """Raises UserError if two shots have one name, or there is none."""
    if not shots:
        raise UserError("there is no shot to evaluate on")
    seen: Mapping[str, int] = {shot.name: 1 for shot in shots}
    if len(seen) < len(shots):
        names = [shot.name for shot in shots]
        double = next(name for name in names if names.count(name) > 1)
        raise UserError(f"two shots are called {double!r}", hint="Rename one of them.")
