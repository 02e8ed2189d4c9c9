"""A finished training run, opened for inference: actors, emotions, and how recordings are read.

It holds for networks of every family, each of which derives its own class. All values are those that the run recorded;
later changes of the configuration have no effect on them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from audio2face.audio import Method, Resampler, Track, read_track
from audio2face.config import TrainSection
from audio2face.dataset.shots import EmotionVectors
from audio2face.errors import UserError
from audio2face.inference.retiming import choose_voice
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.network_data import PcaComponents
from audio2face.training.data import actors
from audio2face.training.run_folder import Origin, TrainingRun, read_origins
from audio2face.types import Mesh

if TYPE_CHECKING:
    from audio2face.training.inference.animate import RawNetwork


def deployed_resampler(method: Method, resampler: Resampler) -> Resampler:
    """The filter of a deployed model: that of training; "hann" beside "nva2f", whose own filter is not streamed."""
    return "hann" if method == "nva2f" else resampler


@dataclass(frozen=True)
class TrainedRun(ABC):
    """A finished training run; files are read on first use.

    Attributes:
        run: the training run.
    """

    run: TrainingRun

    @classmethod
    @abstractmethod
    def open(cls, path: Path) -> Self:
        """Opens a run.

        Raises:
            UserError: there is no such run, it is unfinished, or it holds another kind of network.
        """

    @property
    def own_fps(self) -> Fraction | None:
        """Frames per second of a network that has a rate of its own."""
        return None

    @abstractmethod
    def exported_output(self, actor: str, emotion: str, fps: Fraction) -> RawNetwork:
        """The exported network of the run, to be run over whole recordings as it was trained.

        Args:
            actor: whose face is animated, in its own style.
            emotion: name of the emotion.
            fps: frames per second of a network that has no rate of its own.

        Raises:
            UserError: there is no such actor or emotion, or files of the run are damaged or missing.
        """

    @cached_property
    def train(self) -> TrainSection:
        """The training section of its configuration."""
        return self.run.configuration.train

    @cached_property
    def actors(self) -> tuple[str, ...]:
        """The actors, in the order of the network's input."""
        return tuple(self.run.configuration.dataset.ACTOR_NAMES)

    @cached_property
    def emotions(self) -> EmotionVectors:
        """The emotion vectors."""
        names = self.run.configuration.dataset.SHOT_EMOTION_NAMES
        return EmotionVectors.from_vocabulary(names, self.train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)

    def check_actor(self, name: str, parameter: str) -> str:
        """Returns the name of an actor that the network was trained on.

        Args:
            name: the name.
            parameter: parameter or argument that holds the name, for the message.

        Raises:
            UserError: the network was not trained on this actor.
        """
        if name not in self.actors:
            raise UserError(
                f"{parameter} is {name!r}, an actor that the network was not trained on",
                path=self.run.path,
                hint=f"Its actors: {', '.join(self.actors)}.",
            )
        return name

    def read_track(self, path: Path) -> Track:
        """Reads a recording as training read its recordings; a single channel where mixing would cancel the voice."""
        train = self.train
        return read_track(
            path,
            train.AUDIO_PARAMS["samplerate"],
            train.AUDIO_PREPROC_METHOD,
            choose_voice(path),
            train.AUDIO_RESAMPLER,
        )

    def components(self, actor: str, part: Mesh) -> PcaComponents:
        """The components of skin or tongue that an actor was trained on, with their mean pose.

        Raises:
            UserError: they were removed.
        """
        origin = self.origin(actor)
        path = origin.files.get(f"{part.upper()}_PCA_SHAPES_FPATH")
        if path is not None:
            return actors.read_components(path)
        assert origin.folder is not None  # training requires one of the two
        artifacts = PreprocArtifacts.open(origin.folder)
        return artifacts.skin if part == "skin" else artifacts.tongue

    def origin(self, actor: str) -> Origin:
        """The data that an actor was trained on.

        Raises:
            UserError: the run has no record of them.
        """
        origins = read_origins(self.run.path, self.run.configuration.roots, self.train.PREPROC_ROOT)
        if actor not in origins:
            raise UserError(f"does not record what actor {actor!r} was trained from", path=self.run.path)
        return origins[actor]
