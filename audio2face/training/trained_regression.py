"""A finished regression training as inference needs it: network, window, shapes of the face, implicit emotion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from audio2face.config import Dataset, InferenceRegression, TrainRegression
from audio2face.dataset.arrays import Float32Array, read_json
from audio2face.dataset.emotions import EmotionVectors
from audio2face.errors import FileFormatError, UserError
from audio2face.model_folder import EmotionDatabase, RegressionInfo
from audio2face.model_folder.emotion_database import open_database
from audio2face.networks.regression import RegressionNetwork, RegressionSettings
from audio2face.preproc.artifacts import Part, PreprocArtifacts
from audio2face.preproc.deploy_data import PcaShapes
from audio2face.training import single_files
from audio2face.training.regression_task import DEPLOY_FOLDER, load_network
from audio2face.training.trained_run import TrainedRun
from audio2face.training.training_run import INFO_FILE, NETWORK_FILE, TrainingRun


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
            return RegressionSettings.restored(self.run.network["settings"])
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"is no record of a regression network: {error}", path=self.run.path / NETWORK_FILE
            ) from error

    @cached_property
    def network(self) -> RegressionNetwork:
        """The network, on the CPU in evaluation mode."""
        return load_network(self.run)

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

    def shapes(self, part: Part) -> PcaShapes:
        """The shapes of skin or tongue that the network was trained on, and the face at rest.

        Raises:
            UserError: they are gone, or are others now.
        """
        origin = self.origin(self.actor)
        path = origin.files.get(f"{part.upper()}_PCA_SHAPES_FPATH")
        if path is not None:
            shapes = single_files.read_shapes(path)
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
    emotions = EmotionVectors.of(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
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
