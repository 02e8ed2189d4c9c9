"""A finished diffusion training as inference needs it: network, actors' faces, windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.config import TrainDiffusion
from audio2face.errors import FileFormatError, UserError
from audio2face.inference import WindowPlan
from audio2face.networks.diffusion_rnn import DiffusionSettings, Network
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training import single_files
from audio2face.training.diffusion_task import CONSTANTS_FILE, load_network
from audio2face.training.trained_run import TrainedRun
from audio2face.training.training_run import NETWORK_FILE, TrainingRun

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Face:
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
    def network(self) -> Network:
        """The network, on the CPU in evaluation mode."""
        return load_network(self.run)

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
    def plan(self) -> WindowPlan:
        """The windows of a stream.

        Raises:
            UserError: their rate is not the one that was trained.
        """
        window, audio = self.train.STREAMING_CFG[str(int(self.train.TARGET_FPS))], self.train.AUDIO_PARAMS
        plan = WindowPlan(
            left=window["left_truncate"],
            block=window["block_frame_size"],
            right=window["right_truncate"],
            window=window["window_size"],
            padding=audio["padding_left"],
            samplerate=audio["samplerate"],
        )
        if plan.fps != self.train.TARGET_FPS:
            raise UserError(
                f"was trained at {self.train.TARGET_FPS:g} frames per second, its windows have {float(plan.fps):g}",
                path=self.run.path,
                hint="Correct STREAMING_CFG and AUDIO_PARAMS in config_train.py, and train again.",
            )
        return plan

    def identity(self, actor: str) -> Float32Array:
        """The input that stands for an actor, `[actors]`."""
        vector = np.zeros(len(self.actors), np.float32)
        vector[self.actors.index(actor)] = 1.0
        return vector

    def face(self, actor: str) -> Face:
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
        return Face(neutral, scale, skin, tongue)

    def _translate(self, actor: str) -> dict[str, Sequence[float]]:
        """Where the centres of skin and tongue were moved from, in centimetres; only preprocessing recorded it."""
        origin = self.origin(actor)
        if "DATA_INFO_FPATH" in origin.files:
            info = single_files.read_data_info(origin.files["DATA_INFO_FPATH"])
        else:
            assert origin.folder is not None  # training made sure that one of the two is given
            info = PreprocArtifacts.open(origin.folder).data_info
        return dict(info.translate)
