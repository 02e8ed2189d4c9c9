"""A finished training run, opened for inference: actors, emotions, and how recordings are read.

It holds for networks of every family. All values are those that the run recorded; later changes of the configuration
have no effect on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from audio2face.audio import Method, Resampler, Track, read_track
from audio2face.config import TrainSection
from audio2face.dataset.shots import EmotionVectors
from audio2face.errors import UserError
from audio2face.inference.retiming import choose_voice
from audio2face.training.run_folder import Origin, TrainingRun, read_origins


def deployed_resampler(method: Method, resampler: Resampler) -> Resampler:
    """The filter of a deployed model: that of training; "hann" beside "nva2f", whose own filter is not streamed."""
    return "hann" if method == "nva2f" else resampler


@dataclass(frozen=True)
class TrainedRun:
    """A finished training run; files are read on first use.

    Attributes:
        run: the training run.
    """

    run: TrainingRun

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

    def origin(self, actor: str) -> Origin:
        """The data that an actor was trained on.

        Raises:
            UserError: the run has no record of them.
        """
        origins = read_origins(self.run.path, self.run.configuration.roots, self.train.PREPROC_ROOT)
        if actor not in origins:
            raise UserError(f"does not record what actor {actor!r} was trained from", path=self.run.path)
        return origins[actor]
