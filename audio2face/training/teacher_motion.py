"""The motion that a teacher gives speech: its exported network over recordings, as coefficients, each kept in a file.

A file has a name under which all that its motion depends on is checked: weights, components, recording, actor, emotion.
A stopped computation goes on with the next recording; motion is read from the files when a batch needs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.animation.shapes import ShapeFit
from audio2face.config import TrainRegression, TrainSection
from audio2face.console import LOGGER, track
from audio2face.errors import UserError
from audio2face.export import write_rows
from audio2face.io.atomic import file_sha256
from audio2face.preproc.shape_basis import ShapeBasis
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.motion import ShotMotion
from audio2face.training.data.pseudo_labels import DISTILLATION
from audio2face.training.data.unlabelled_speech import UnlabelledSpeech
from audio2face.training.distributed import wait_for_all
from audio2face.training.inference.animate import RawNetwork
from audio2face.training.teacher import Teacher
from audio2face.types import Float32Array

_VERSION = b"2"  # part of every key: it changes with how the teacher's motion is computed
_MAX_OPEN_FILES = 32  # a process may have a thousand open or fewer


def shot_id(index: int, speech: UnlabelledSpeech) -> str:
    return f"{speech.actor} {DISTILLATION} {index} {speech.audio.stem}"  # no name of a shot has a space


@dataclass(frozen=True)
class KeptMotion(Mapping[str, ShotMotion]):
    """The teacher's motion of recordings, read from files when it is asked for.

    Attributes:
        files: float32 `[frames, values]` of each shot, by id.
        ends: ends of skin, tongue and jaw among the values.
    """

    files: Mapping[str, Path]
    ends: tuple[int, int, int]

    def __getitem__(self, shot: str) -> ShotMotion:
        skin, tongue, jaw, eye = np.split(_memory_map(self.files[shot]), self.ends, axis=1)
        return ShotMotion(skin, tongue, jaw, eye, (True, True, True, True))

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __contains__(self, shot: object) -> bool:
        return shot in self.files

    @classmethod
    def prepare(
        cls,
        teacher: Teacher,
        speech: Sequence[UnlabelledSpeech],
        sources: Sequence[ActorSource],
        train: TrainSection,
        rank: int,
        world_size: int,
    ) -> KeptMotion:
        """Finds the motion of recordings, and computes what is missing.

        Raises:
            UserError: a recording cannot be read, the network cannot be run, or a file cannot be written.
        """
        bases = {source.actor: _basis_of(source) for source in sources}
        paths = [train.DISTILLATION_ROOT / f"{_key(teacher, each, bases[each.actor])}.npy" for each in speech]
        # The share of a process is fixed by the list, independent of the progress of the others.
        pairs = list(zip(speech, paths, strict=True))[rank::world_size]
        missing = {path: each for each, path in pairs if not path.is_file()}
        if missing:
            counts = len(missing), len(speech)
            LOGGER.info("%s animates %d of %d recordings; kept in %s", teacher.name, *counts, train.DISTILLATION_ROOT)
            _animate(teacher, missing, {source.actor: source for source in sources})
        if world_size > 1:
            wait_for_all()
        _memory_map.cache_clear()
        sizes = sources[0].info.counts
        skin, tongue = sizes["num_shapes_skin"], sizes["num_shapes_tongue"]
        ends = (skin, skin + tongue, skin + tongue + 3 * sizes["num_keypoints_jaw"])
        return cls(
            {shot_id(index, each): path for index, (each, path) in enumerate(zip(speech, paths, strict=True))}, ends
        )


@lru_cache(maxsize=_MAX_OPEN_FILES)
def _memory_map(path: Path) -> Float32Array:
    """Memory-maps the motion of a recording; at most `_MAX_OPEN_FILES` files are open at a time."""
    try:
        motion: Float32Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"the motion of a teacher cannot be read back: {error}",
            path=path,
            hint="Remove the file, and resume: it is computed again.",
        ) from error
    return motion


def _basis_of(source: ActorSource) -> bytes:
    digest = hashlib.sha256()
    for pca in (source.skin, source.tongue):
        digest.update(pca.matrix.tobytes())
        digest.update(pca.mean.tobytes())
    return digest.digest()


def _key(teacher: Teacher, speech: UnlabelledSpeech, basis: bytes) -> str:
    """A checksum of everything that the motion of a recording depends on."""
    digest = hashlib.sha256(_VERSION + basis + teacher.identity)
    digest.update(f"{speech.actor} {speech.emotion} {file_sha256(speech.audio)}".encode())
    return digest.hexdigest()


def _animate(teacher: Teacher, missing: Mapping[Path, UnlabelledSpeech], sources: Mapping[str, ActorSource]) -> None:
    """Animates recordings, one network after another, and writes each when it is done."""
    networks: dict[tuple[str, str], tuple[RawNetwork, _Coefficients]] = {}
    for path, speech in track(missing.items(), len(missing), "animating speech"):
        who = speech.actor, speech.emotion
        if who not in networks:
            network = teacher.network(*who)
            networks[who] = network, coefficients_of(network, sources[speech.actor])
        network, to_coefficients = networks[who]
        recording = teacher.aligned(teacher.run.read_track(speech.audio))
        num_frames = network.windows.num_frames(len(recording.data))
        blocks = network.predict(recording, network.options.mode)
        write_rows(path, map(to_coefficients, blocks), num_frames, _num_values(sources[speech.actor]))


def _num_values(source: ActorSource) -> int:
    counts = source.info.counts
    points, angles = 3 * counts["num_keypoints_jaw"], 2 * counts["num_angles_eye"]
    return counts["num_shapes_skin"] + counts["num_shapes_tongue"] + points + angles


_Coefficients = Callable[[Float32Array], Float32Array]


def coefficients_of(network: RawNetwork, source: ActorSource) -> _Coefficients:
    """The function from the output of a network `[frames, output_size]` to coefficients, jaw and eyes.

    Poses are projected onto orthonormal components; weights of blend shapes are solved for, as preprocessing does.

    Args:
        network: of the same mesh.
        source: the components, and the sizes of jaw and eyes.

    Raises:
        UserError: the network has key points of the jaw or angles of the eyes of another number.
    """
    sizes = [3 * len(source.skin.mean), 3 * len(source.tongue.mean)]
    if network.predicts_coefficients:
        sizes = [len(source.skin.matrix), len(source.tongue.matrix)]
    rigid = _num_values(source) - len(source.skin.matrix) - len(source.tongue.matrix)
    if network.output_size != sum(sizes) + rigid:
        raise UserError(
            f"TEACHER_RUN: outputs {network.output_size} values a frame, the data of {source.actor!r} have "
            f"{sum(sizes) + rigid}",
            path=network.model.run.path,
            hint="Name a teacher that was trained on the same data: key points of the jaw, angles of the eyes.",
        )
    if network.predicts_coefficients:
        trained_scale = _scale_of_training(network.model.train, source)
        return lambda output: output / trained_scale
    project = _projection(source)
    skin_rest, tongue_rest = (
        np.asarray(neutral - mean, np.float32).reshape(-1)
        for neutral, mean in ((network.neutral_skin, source.skin.mean), (network.neutral_tongue, source.tongue.mean))
    )
    tongue_matrix = source.tongue.matrix.reshape(len(source.tongue.matrix), -1).T

    def coefficients(output: Float32Array) -> Float32Array:
        skin, tongue, rest = np.split(output, np.cumsum(sizes), axis=1)
        found = project(skin + skin_rest), (tongue + tongue_rest) @ tongue_matrix, rest
        return np.concatenate(found, axis=1, dtype=np.float32)

    return coefficients


def _scale_of_training(train: TrainSection, source: ActorSource) -> Float32Array:
    """The factors by which a network of coefficients learned jaw and eyes (RESCALE_TARGET_CHANNEL_DATA), `[values]`."""
    scale = np.ones(_num_values(source), np.float32)
    if isinstance(train, TrainRegression) and train.RESCALE_TARGET_CHANNEL_DATA:
        jaw = len(source.skin.matrix) + len(source.tongue.matrix)
        eyes = jaw + 3 * source.info.counts["num_keypoints_jaw"]
        scale[jaw:eyes], scale[eyes:] = source.info.scale["jaw"], source.info.scale["eye"]
    return scale


def _projection(source: ActorSource) -> Callable[[Float32Array], Any]:
    """The function from offsets of the skin from its mean pose `[frames, 3 * verts]` to coefficients."""
    matrix = source.skin.matrix.reshape(len(source.skin.matrix), -1)
    if source.skin_metric is None:
        return lambda offsets: offsets @ matrix.T
    files = source.raw.blendshapes("skin")
    active = None if files is None else ShapeBasis.read(files, len(source.skin.mean)).active
    return ShapeFit(matrix, active)
