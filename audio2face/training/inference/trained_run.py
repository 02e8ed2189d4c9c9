"""A finished training as inference needs it, whichever network it holds: actors, emotions, how recordings are read.

Everything comes from the run's own records, whatever the configuration says by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from audio2face.audio import Track, read_track
from audio2face.config import Dataset, InferenceRegression, TrainDiffusion, TrainRegression
from audio2face.dataset.emotions import EmotionVectors
from audio2face.errors import FileFormatError, UserError
from audio2face.inference.retiming import choose_voice
from audio2face.io.arrays import read_json
from audio2face.model_folder import EmotionDatabase, RegressionInfo
from audio2face.model_folder.emotion_database import open_database
from audio2face.models.diffusion.network import DiffusionNetwork, DiffusionSettings
from audio2face.models.regression.network import RegressionNetwork, RegressionSettings
from audio2face.models.windows import WindowSchedule
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.network_data import PcaComponents
from audio2face.training import diffusion, regression
from audio2face.training.data import actors
from audio2face.training.diffusion import CONSTANTS_FILE
from audio2face.training.inference.stream import streaming_windows
from audio2face.training.regression import DEPLOY_FOLDER
from audio2face.training.run_folder import INFO_FILE, NETWORK_FILE, Origin, TrainingRun, read_origins
from audio2face.types import Float32Array, Mesh


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


@dataclass(frozen=True, eq=False)
class ActorNormalization:
    """What training took from an actor's data to normalise motion.

    Attributes:
        neutral: the normalised face at rest, zero for jaw and eyes, `[values]`.
        scale: what each value was divided by, `[values]`.
        skin: the skin at rest, `[verts, 3]`, centimetres.
        tongue: the tongue at rest, likewise.
    """

    neutral: Float32Array
    scale: Float32Array
    skin: Float32Array
    tongue: Float32Array


@dataclass(frozen=True)
class TrainedModel(TrainedRun):
    """A training run that can be animated from; files are read when they are asked for."""

    @classmethod
    def open(cls, path: Path) -> TrainedModel:
        """Opens a run.

        Raises:
            UserError: there is no such run, it has not come to its end, or it holds another kind of network.
        """
        run = TrainingRun.open(path)
        kind = run.network.get("network_type")
        if kind != "diffusion":
            raise UserError(
                f"holds a network of type {kind!r}, expected 'diffusion'",
                path=path,
                hint="Name the configuration that it was trained with.",
            )
        return cls(run)

    @cached_property
    def train(self) -> TrainDiffusion:
        """The settings that it was trained with."""
        train = self.run.configuration.train
        assert isinstance(train, TrainDiffusion)
        return train

    @cached_property
    def network(self) -> DiffusionNetwork:
        """The network, on the CPU in evaluation mode."""
        return diffusion.load_network(self.run)

    @cached_property
    def settings(self) -> DiffusionSettings:
        """Sizes of the network."""
        try:
            return DiffusionSettings(**self.run.network["settings"])
        except (KeyError, TypeError) as error:
            raise FileFormatError(
                f"is no record of a diffusion network: {error}", path=self.run.path / NETWORK_FILE
            ) from error

    @cached_property
    def windows(self) -> WindowSchedule:
        """The windows of a stream.

        Raises:
            UserError: their rate is not the one that was trained, or they give no first frame of a recording.
        """
        windows = streaming_windows(self.train).require_beginning()
        if windows.fps != self.train.TARGET_FPS:
            raise UserError(
                f"was trained at {self.train.TARGET_FPS:g} frames per second, its windows have {float(windows.fps):g}",
                path=self.run.path,
                hint="Correct STREAMING_CFG and AUDIO_PARAMS in config_train.py, and train again.",
            )
        return windows

    def identity(self, actor: str) -> Float32Array:
        """The input that stands for an actor, `[actors]`."""
        vector = np.zeros(len(self.actors), np.float32)
        vector[self.actors.index(actor)] = 1.0
        return vector

    def face(self, actor: str) -> ActorNormalization:
        """What an actor's motion was normalised by.

        Raises:
            UserError: the preprocessing run that the actor was trained from is gone, or is another now.
        """
        constants, index = self.run.tensors(CONSTANTS_FILE), self.actors.index(actor)
        neutral = constants["neutral"][index].numpy()
        sizes = self.settings.sizes
        scale = np.repeat(constants["scale"][index].numpy(), [sizes.skin, sizes.tongue, sizes.jaw, sizes.eye])
        translate = self._translate(actor)
        ends = {"skin": (0, sizes.skin), "tongue": (sizes.skin, sizes.skin + sizes.tongue)}
        skin, tongue = (
            (neutral[start:stop] * scale[start:stop]).reshape(-1, 3) + np.asarray(translate[part], np.float32)
            for part, (start, stop) in ends.items()
        )
        return ActorNormalization(neutral, scale, skin, tongue)

    def _translate(self, actor: str) -> dict[str, Sequence[float]]:
        """Where the centres of skin and tongue were moved from, in centimetres; only preprocessing recorded it."""
        origin = self.origin(actor)
        if "DATA_INFO_FPATH" in origin.files:
            info = actors.read_data_info(origin.files["DATA_INFO_FPATH"])
        else:
            assert origin.folder is not None  # training made sure that one of the two is given
            info = PreprocArtifacts.open(origin.folder).data_info
        return dict(info.translate)


@dataclass(frozen=True)
class TrainedRegression(TrainedRun):
    """A training run that can be animated from; files are read when they are asked for."""

    @classmethod
    def open(cls, path: Path) -> TrainedRegression:
        """Opens a run.

        Raises:
            UserError: there is no such run, it has not come to its end, or it holds another kind of network.
        """
        run = TrainingRun.open(path)
        kind = run.network.get("network_type")
        if kind != "regression":
            raise UserError(f"holds a network of type {kind!r}, expected 'regression'", path=path)
        return cls(run)

    @cached_property
    def settings(self) -> RegressionSettings:
        """Sizes of the network."""
        try:
            return RegressionSettings.from_dict(self.run.network["settings"])
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"is no record of a regression network: {error}", path=self.run.path / NETWORK_FILE
            ) from error

    @cached_property
    def network(self) -> RegressionNetwork:
        """The network, on the CPU in evaluation mode."""
        return regression.load_network(self.run)

    @cached_property
    def info(self) -> RegressionInfo:
        """What consumers are told of the network."""
        train = self.train
        assert isinstance(train, TrainRegression)
        return regression_info(self.run, self.run.configuration.dataset, train, self.settings)

    @property
    def actor(self) -> str:
        """Whose face it is."""
        return self.info.actor

    def shapes(self, part: Mesh) -> PcaComponents:
        """The shapes of skin or tongue that the network was trained on, and the face at rest.

        Raises:
            UserError: they are gone, or are others now.
        """
        origin = self.origin(self.actor)
        path = origin.files.get(f"{part.upper()}_PCA_SHAPES_FPATH")
        if path is not None:
            shapes = actors.read_shapes(path)
        else:
            assert origin.folder is not None  # training made sure that one of the two is given
            artifacts = PreprocArtifacts.open(origin.folder)
            shapes = artifacts.skin if part == "skin" else artifacts.tongue
            path = origin.folder
        wanted = self.settings.skin_size if part == "skin" else self.settings.tongue_size
        if len(shapes.matrix) != wanted:
            raise UserError(
                f"has {len(shapes.matrix)} shapes of the {part}, the network was trained on {wanted}",
                path=path,
                hint="The actor was preprocessed anew since: train anew.",
            )
        return shapes

    @cached_property
    def database(self) -> EmotionDatabase:
        """The implicit emotions of every frame that was learnt from."""
        return open_database(self.run.path / DEPLOY_FOLDER, self.settings.implicit_emotion_len)

    def implicit_source(self, wanted: tuple[str | None, int | None] | None = None) -> tuple[str, int]:
        """Shot and frame of the implicit emotion.

        Args:
            wanted: source_shot and source_frame, see `EmotionDatabase.choose`; None: as configured when the run was
                begun.

        Raises:
            UserError: there is no such shot or frame.
        """
        if wanted is None:
            inference = self.run.configuration.inference
            assert isinstance(inference, InferenceRegression)
            wanted = inference.CONFIG["source_shot"], inference.CONFIG["source_frame"]
        return self.database.choose(*wanted)

    def emotion(self, name: str, source: tuple[str | None, int | None] | None = None) -> Float32Array:
        """The emotion input, `[implicit + explicit]`.

        Args:
            name: of the explicit emotion.
            source: see `implicit_source`.

        Raises:
            UserError: there is no such emotion, shot or frame.
        """
        implicit = self.database.find(*self.implicit_source(source))
        assert implicit is not None  # `choose` made sure
        return np.concatenate([implicit, self.emotions.vector(name)])


def regression_info(
    run: TrainingRun, dataset: Dataset, train: TrainRegression, network: RegressionSettings
) -> RegressionInfo:
    """What consumers are told of a network.

    Args:
        run: the training run, which knows how many vertices there are.
        dataset: actor and emotions.
        train: version and window.
        network: its sizes.

    Raises:
        UserError: there are several actors, the default emotion is unknown, or the run does not say what it should.
    """
    if len(dataset.ACTOR_NAMES) != 1:
        raise UserError(
            f"a regression network is that of one actor, ACTOR_NAMES has {len(dataset.ACTOR_NAMES)}: "
            f"{', '.join(dataset.ACTOR_NAMES)}",
            hint="Train and deploy each actor in a configuration of its own, or all in a diffusion network.",
        )
    emotions = EmotionVectors.from_vocabulary(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    skin_verts, tongue_verts = _verts(run)
    return RegressionInfo(
        actor=dataset.ACTOR_NAMES[0],
        version=train.NETWORK_VERSION,
        emotions=emotions.names,
        default_emotion=tuple(emotions.vector(train.DEFAULT_SHOT_EMOTION_NAME).tolist()),
        implicit_emotion_len=network.implicit_emotion_len,
        num_shapes_skin=network.skin_size,
        num_shapes_tongue=network.tongue_size,
        num_verts_skin=skin_verts,
        num_verts_tongue=tongue_verts,
        jaw_size=network.jaw_size,
        eyes_size=network.eye_size,
        buffer_len=train.AUDIO_PARAMS["buffer_len"],
        buffer_ofs=train.AUDIO_PARAMS["buffer_ofs"],
        samplerate=train.AUDIO_PARAMS["samplerate"],
    )


def _verts(run: TrainingRun) -> tuple[int, int]:
    """Vertices of skin and tongue, which the network itself does not know."""
    path = run.path / INFO_FILE
    try:
        params = read_json(path)["params"]
        return int(params["num_verts_skin"]), int(params["num_verts_tongue"])
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"does not say how many vertices there are: {error}", path=path) from error
