"""A finished training as inference needs it, whichever network it holds: actors, emotions, how recordings are read.

Everything comes from the run's own records, whatever the configuration says by now.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from audio2face.audio import Track, read_track
from audio2face.config import TrainDiffusion, TrainRegression
from audio2face.dataset.emotions import EmotionVectors
from audio2face.errors import UserError
from audio2face.inference.retiming import choose_voice
from audio2face.training.run_folder import Origin, TrainingRun, read_origins


@dataclass(frozen=True)
class TrainedRun:
    """A training run that can be animated from; files are read when they are asked for.

    Attributes:
        run: the training run.
    """

    run: TrainingRun

    @cached_property
    def train(self) -> TrainDiffusion | TrainRegression:
        """The settings that it was trained with."""
        return self.run.configuration.train

    @cached_property
    def actors(self) -> tuple[str, ...]:
        """The actors, in the order of the network."""
        return tuple(self.run.configuration.dataset.ACTOR_NAMES)

    @cached_property
    def emotions(self) -> EmotionVectors:
        """How emotions become vectors."""
        names = self.run.configuration.dataset.SHOT_EMOTION_NAMES
        return EmotionVectors.from_vocabulary(names, self.train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)

    def check_actor(self, name: str, parameter: str) -> str:
        """Returns the name of an actor that was trained.

        Raises:
            UserError: it was not.
        """
        if name not in self.actors:
            raise UserError(
                f"{parameter} is {name!r}, whom this network does not know",
                path=self.run.path,
                hint=f"It knows: {', '.join(self.actors)}.",
            )
        return name

    def read_track(self, path: Path) -> Track:
        """Reads a recording as training read its own; one channel of it where the mix of all would spoil it."""
        train = self.train
        return read_track(path, train.AUDIO_PARAMS["samplerate"], train.AUDIO_PREPROC_METHOD, choose_voice(path))

    def origin(self, actor: str) -> Origin:
        """What an actor was trained from.

        Raises:
            UserError: the run does not tell.
        """
        origins = read_origins(self.run.path, self.run.configuration.roots, self.train.PREPROC_ROOT)
        if actor not in origins:
            raise UserError(f"does not record what actor {actor!r} was trained from", path=self.run.path)
        return origins[actor]
