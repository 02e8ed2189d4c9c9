"""Raw inference of regression networks: a finished run, opened; its network over recordings at any frame rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio2face.audio import Track
from audio2face.config import Dataset, InferenceRegression, TrainRegression
from audio2face.dataset.shots import EmotionVectors
from audio2face.errors import FileFormatError, UserError
from audio2face.inference import RegressionSession, graph_device
from audio2face.model_folder import EmotionDatabase, RegressionInfo
from audio2face.model_folder.regression import open_database
from audio2face.models.regression.network import ExportedRegression, RegressionNetwork, RegressionSettings
from audio2face.preproc.network_data import PcaComponents
from audio2face.training.distributed import choose_device
from audio2face.training.inference.animate import EXPORTED_MODE, Mode, RawNetwork, RawOptions, animate_windows
from audio2face.training.inference.trained_run import TrainedRun, deployed_resampler
from audio2face.training.regression import load_network
from audio2face.training.run_folder import DEPLOY_FOLDER, INFO_FILE, NETWORK_FILE, TrainingRun, recorded_verts
from audio2face.types import Float32Array, Mesh

_WINDOWS_AT_ONCE = 16


@dataclass(frozen=True)
class TrainedRegression(TrainedRun):
    """A finished training run of a regression network; files are read on first use."""

    @classmethod
    def open(cls, path: Path) -> TrainedRegression:
        """Opens a run.

        Raises:
            UserError: there is no such run, it is unfinished, or it holds another kind of network.
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
        return load_network(self.run)

    @cached_property
    def info(self) -> RegressionInfo:
        """Description of the network for those who deploy it."""
        train = self.train
        assert isinstance(train, TrainRegression)
        return regression_info(self.run, self.run.configuration.dataset, train, self.settings)

    @property
    def actor(self) -> str:
        """The actor whose face the network animates."""
        return self.info.actor

    def components(self, actor: str, part: Mesh) -> PcaComponents:
        """The components of skin or tongue that the network was trained on, with the neutral pose as their mean.

        Raises:
            UserError: they were removed, or changed since the training.
        """
        found = super().components(actor, part)
        expected = self.settings.skin_size if part == "skin" else self.settings.tongue_size
        if len(found.matrix) != expected:
            origin = self.origin(actor)
            raise UserError(
                f"has {len(found.matrix)} components of the {part}, the network was trained on {expected}",
                path=origin.files.get(f"{part.upper()}_PCA_SHAPES_FPATH", origin.folder),
                hint="The actor was preprocessed again since then: train again.",
            )
        return found

    def exported_output(self, actor: str, emotion: str, fps: Fraction) -> RawRegression:
        """The exported network, with the implicit emotion as the run was configured; see `TrainedRun`."""
        actor = self.check_actor(actor, "the actor")
        return RawRegression(self, RawOptions(actor=actor, emotion=emotion, mode=Mode.parse(EXPORTED_MODE), fps=fps))

    @cached_property
    def database(self) -> EmotionDatabase:
        """The implicit emotions of every training frame."""
        return open_database(self.run.path / DEPLOY_FOLDER, self.settings.implicit_emotion_len)

    def implicit_source(self, source: tuple[str | None, int | None] | None = None) -> tuple[str, int]:
        """Shot and frame of the implicit emotion.

        Args:
            source: shot (source_shot) and frame (source_frame); either may be None, and the most usual row is then
                taken. None: as configured when the run was started.

        Raises:
            UserError: there is no such shot or frame.
        """
        if source is None:
            inference = self.run.configuration.inference
            assert isinstance(inference, InferenceRegression)
            source = inference.CONFIG["source_shot"], inference.CONFIG["source_frame"]
        return self.database.choose(*source)

    def emotion(self, name: str, source: tuple[str | None, int | None] | None = None) -> Float32Array:
        """The emotion input, `[implicit + explicit]`.

        Args:
            name: name of the explicit emotion.
            source: shot and frame of the implicit emotion, as `implicit_source` takes them.

        Raises:
            UserError: there is no such emotion, shot or frame.
        """
        implicit = self.database.find(*self.implicit_source(source))
        assert implicit is not None  # `choose` checked it
        return np.concatenate([implicit, self.emotions.vector(name)])


class RawRegression(RawNetwork):
    """A trained regression network that animates the face of its actor.

    Args:
        model: the training run.
        options: how recordings are animated.

    Raises:
        UserError: there is no such emotion, shot, frame or rate, or files of the run are damaged or missing.
    """

    predicts_coefficients = True

    def __init__(self, model: TrainedRegression, options: RawOptions) -> None:
        self._model, self.options, info = model, options, model.info
        self._emotion = model.emotion(options.emotion, options.source)
        skin, tongue = model.components(model.actor, "skin"), model.components(model.actor, "tongue")
        self._skin, self._tongue = (part.matrix.reshape(len(part.matrix), -1) for part in (skin, tongue))
        self.windows = info.windows(options.fps)
        self.output_size = info.values
        self.delta_size = self._skin.shape[1] + self._tongue.shape[1] + info.jaw_size + info.eyes_size
        self.neutral_skin, self.neutral_tongue = skin.mean, tongue.mean
        self.jaw_size = info.jaw_size

    @property
    def model(self) -> TrainedRegression:
        """The training run."""
        return self._model

    def predict(self, recording: Track, mode: Mode) -> Iterator[Float32Array]:
        """Runs the network over all frames of a recording."""
        amplified = Track(self.options.gain * recording.data, recording.samplerate)
        network = self._graph.run if mode.onnx else self._network
        return animate_windows(
            self.windows,
            amplified,
            lambda audio: network(audio, np.tile(self._emotion, (len(audio), 1))),
            _WINDOWS_AT_ONCE,
        )

    def to_deltas(self, output: Float32Array) -> Float32Array:
        """Coefficients of skin and tongue become deltas; jaw and eyes stay."""
        skin, tongue, rigid = np.split(output, [len(self._skin), len(self._skin) + len(self._tongue)], axis=1)
        return np.concatenate([skin @ self._skin, tongue @ self._tongue, rigid], axis=1)

    def to_raw(self, output: Float32Array) -> Float32Array:
        """The output itself."""
        return output

    @property
    def label(self) -> str:
        """Actor and emotion as part of a file name."""
        return f"{self._model.actor}_{self.options.emotion}"

    @property
    def summary(self) -> str:
        """Emotion, mode and frame rate for the log."""
        options = self.options
        return f"{options.emotion}, {options.mode.name}, {float(options.fps):g} frames per second"

    @property
    def counterpart(self) -> tuple[str, str]:
        """The mode worth comparing with, and the names of the two that are compared."""
        other = "offline" if self.options.mode.onnx else "streaming_stateless_onnx"
        return other, "the trained and the exported network"

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of network and options for the JSON file beside the output."""
        options, info = self.options, self._model.info
        return {
            "actor": info.actor,
            "emotion": options.emotion,
            "implicit_emotion": self._model.implicit_source(options.source),
            "gain": options.gain,
            "mode": options.mode.name,
            "values": {
                "skin_coefficients": info.num_shapes_skin,
                "tongue_coefficients": info.num_shapes_tongue,
                "jaw": info.jaw_size,
                "eyes": info.eyes_size,
            },
        }

    @cached_property
    def _network(self) -> Callable[[Float32Array, Float32Array], Float32Array]:
        device = choose_device(self.options.device)
        module = ExportedRegression(self._model.network.to(device))

        def run(windows: Float32Array, emotion: Float32Array) -> Float32Array:
            with torch.inference_mode():
                tensors = (torch.from_numpy(array)[:, None].to(device) for array in (windows, emotion))
                result: Float32Array = module(*tensors)[:, 0].cpu().numpy()
            return result

        return run

    @cached_property
    def _graph(self) -> RegressionSession:
        """The exported network of the run."""
        folder = self._model.run.path / DEPLOY_FOLDER
        graph = RegressionSession.open(folder, graph_device(self.options.device))
        own = self._model.info  # version and default emotion may have been changed at an export
        if replace(graph.info, version=own.version, default_emotion=own.default_emotion) != own:
            raise FileFormatError(
                "is not the network of this run: sizes, emotions or windows differ",
                path=folder,
                hint=f"Export it again: python run_train.py CONFIG_NAME --resume {folder.parent.name} --finish",
            )
        return graph


def regression_info(
    run: TrainingRun, dataset: Dataset, train: TrainRegression, network: RegressionSettings
) -> RegressionInfo:
    """Describes a network for those who deploy it.

    Args:
        run: the training run, with the numbers of vertices.
        dataset: actor and emotions.
        train: version and window.
        network: sizes of the network.

    Raises:
        UserError: there are several actors, the default emotion is unknown, or the record of the run is incomplete.
    """
    if len(dataset.ACTOR_NAMES) != 1:
        raise UserError(
            f"a regression network animates one actor, ACTOR_NAMES has {len(dataset.ACTOR_NAMES)}: "
            f"{', '.join(dataset.ACTOR_NAMES)}",
            hint="Train and deploy each actor in a configuration of its own, or all in a diffusion network.",
        )
    emotions = EmotionVectors.from_vocabulary(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    skin_verts, tongue_verts = recorded_verts(run.path / INFO_FILE)
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
        resampler=deployed_resampler(train.AUDIO_PREPROC_METHOD, train.AUDIO_RESAMPLER),
    )
