"""The teacher of a training (TEACHER_RUN): a trained offline network of the same actors and components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from audio2face.audio import Track
from audio2face.config.teacher_run import find_teacher
from audio2face.errors import UserError
from audio2face.families import FAMILIES, resolve
from audio2face.io.arrays import read_json
from audio2face.io.atomic import file_sha256
from audio2face.model_folder.network_info import info_class
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.clips import TrainingClip
from audio2face.training.inference.animate import RawNetwork
from audio2face.training.inference.trained_run import TrainedRun
from audio2face.training.run_folder import NETWORK_FILE, WEIGHTS_FILE
from audio2face.types import MESHES, Mesh


@dataclass(frozen=True)
class Teacher:
    """A trained offline network.

    Attributes:
        run: its training run.
        kind: its family.
        fps: of its motion of any recording.
    """

    run: TrainedRun
    kind: str
    fps: Fraction

    @classmethod
    def open(cls, text: str, sources: Sequence[ActorSource], root: Path, fps: float) -> Teacher:
        """Finds a run whose output is coefficients of the components of the actors' data.

        Args:
            text: TEACHER_RUN.
            sources: the actors' data.
            root: TRAIN_OUTPUT_ROOT.
            fps: of a network that has no rate of its own.

        Raises:
            UserError: there is no such run, it is of another family, or of other actors or components.
        """
        actors = [source.actor for source in sources]
        folder = find_teacher(text, root, actors, lambda run: _other_basis(_open_run(run), sources) is None)
        run = _open_run(folder)
        other = _other_basis(run, sources)
        if other is not None:
            raise other
        return cls(run, _kind_of(folder), run.own_fps or Fraction(fps))

    @property
    def name(self) -> str:
        """Full name of the run."""
        return self.run.run.path.name

    def check_emotions(self, clips: Sequence[TrainingClip]) -> None:
        """Makes sure that the teacher knows the emotions of clips.

        Raises:
            UserError: it does not.
        """
        for emotion in sorted({clip.shot.emotion for clip in clips}):
            try:
                self.run.emotions.index(emotion)
            except UserError as error:
                raise UserError(
                    f"TEACHER_RUN: {error.problem}, in which training clips speak",
                    path=self.run.run.path,
                    hint="Name a teacher that was trained on the same emotions.",
                ) from error

    def network(self, actor: str, emotion: str) -> RawNetwork:
        """Its exported network, with the face of an actor in an emotion."""
        return self.run.exported_output(actor, emotion, self.fps)

    @cached_property
    def identity(self) -> bytes:
        """Of everything that its output depends on, except recording, actor and emotion."""
        return f"{file_sha256(self.run.run.path / WEIGHTS_FILE)} {self.fps}".encode()

    def aligned(self, recording: Track) -> Track:
        """A recording whose frames are at the middle of their intervals, as those of recorded motion."""
        late = (Fraction(1, 2) - info_class(self.kind).frame_moment) / self.fps
        return Track(recording.data[round(late * recording.samplerate) :], recording.samplerate)


def _kind_of(run: Path) -> str:
    return str(read_json(run / NETWORK_FILE)["network_type"])


def _open_run(run: Path) -> TrainedRun:
    reference = FAMILIES[_kind_of(run)].trained
    assert reference is not None  # `find_teacher` checked it
    opened: TrainedRun = resolve(reference).open(run)
    return opened


def _other_basis(run: TrainedRun, sources: Sequence[ActorSource]) -> UserError | None:
    """The error of a run that was trained on other components than those of the data; None where they are the same."""
    for source in sources:
        for part, own in (("skin", source.skin), ("tongue", source.tongue)):
            mesh: Mesh = MESHES[MESHES.index(part)]
            try:
                found = run.components(source.actor, mesh)
            except UserError as error:
                return error
            if not (np.array_equal(found.matrix, own.matrix) and np.array_equal(found.mean, own.mean)):
                origin = run.origin(source.actor).folder
                before = "" if origin is None else f": that of {origin.name}"
                return UserError(
                    f"TEACHER_RUN: was trained on another preprocessing of actor {source.actor!r}{before}; its "
                    f"coefficients of the {part} mean other motion",
                    path=run.run.path,
                    hint=f"Name a teacher that was trained on {source.origin_of('DATA_INFO_FPATH').name}, or set "
                    "PREPROC_RUN_NAME_FULL to that of the teacher.",
                )
    return None
