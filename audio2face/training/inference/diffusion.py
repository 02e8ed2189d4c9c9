"""Raw inference of diffusion networks: a finished run, opened; its network over whole recordings and over streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio2face.audio import Track
from audio2face.config import InferenceDiffusion, TrainDiffusion
from audio2face.console import LOGGER
from audio2face.errors import FileFormatError, UserError
from audio2face.inference import (
    DiffusionSession,
    DiffusionStream,
    Noise,
    graph_device,
    read_noise,
    repeated_noise,
    seeded_noise,
)
from audio2face.models.diffusion.network import DiffusionNetwork, DiffusionSettings
from audio2face.models.diffusion.process import NoiseSource, make_noise_schedule
from audio2face.models.diffusion.sampling import WindowSampler, initial_hidden_state, sample_clip
from audio2face.models.windows import WindowSchedule
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.data import actors
from audio2face.training.data.segments import num_segment_samples
from audio2face.training.diffusion import CONSTANTS_FILE, load_network
from audio2face.training.distributed import choose_device
from audio2face.training.inference.animate import (
    EXPORTED_MODE,
    Mode,
    RawNetwork,
    RawOptions,
    SamplingOptions,
    animate_windows,
)
from audio2face.training.inference.trained_run import TrainedRun
from audio2face.training.run_folder import DEPLOY_FOLDER, NETWORK_FILE, TrainingRun
from audio2face.types import Float32Array


@dataclass(frozen=True, eq=False)
class ActorNormalization:
    """Constants of an actor by which training normalised motion.

    Attributes:
        neutral: the normalised neutral pose, zero for jaw and eyes, `[values]`.
        scale: divisor of each value, `[values]`.
        skin: the neutral pose of the skin, `[verts, 3]`, centimetres.
        tongue: the neutral pose of the tongue, `[verts, 3]`, centimetres.
    """

    neutral: Float32Array
    scale: Float32Array
    skin: Float32Array
    tongue: Float32Array


@dataclass(frozen=True)
class TrainedDiffusion(TrainedRun):
    """A finished training run of a diffusion network; files are read on first use."""

    @classmethod
    def open(cls, path: Path) -> TrainedDiffusion:
        """Opens a run.

        Raises:
            UserError: there is no such run, it is unfinished, or it holds another kind of network.
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
        """The training section of its configuration."""
        train = self.run.configuration.train
        assert isinstance(train, TrainDiffusion)
        return train

    @cached_property
    def network(self) -> DiffusionNetwork:
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
    def windows(self) -> WindowSchedule:
        """The windows of a stream.

        Raises:
            UserError: their frame rate differs from that of the training, or a recording would lose its first frame.
        """
        windows = streaming_windows(self.train).require_beginning()
        if windows.fps != self.train.TARGET_FPS:
            raise UserError(
                f"was trained at {self.train.TARGET_FPS:g} frames per second, its windows have {float(windows.fps):g}",
                path=self.run.path,
                hint="Correct STREAMING_CFG and AUDIO_PARAMS in config_train.py, and train again.",
            )
        return windows

    @property
    def own_fps(self) -> Fraction:
        """Frames per second of its windows."""
        return self.windows.fps

    def exported_output(self, actor: str, emotion: str, fps: Fraction) -> RawDiffusion:
        """The exported network, with the denoising steps of the run; it has a rate of its own. See `TrainedRun`."""
        train, inference = self.train, self.run.configuration.section("inference", InferenceDiffusion)
        schedule = make_noise_schedule(
            train.DIFFUSION_NOISE_SCHEDULE, train.DIFFUSION_STEPS, inference.TIMESTEP_RESPACING
        )
        options = RawOptions(
            actor=self.check_actor(actor, "the actor"),
            emotion=emotion,
            mode=Mode.parse(EXPORTED_MODE),
            sampling=SamplingOptions(schedule),
        )
        return RawDiffusion(self, options)

    def identity(self, actor: str) -> Float32Array:
        """The one-hot input of an actor, `[actors]`."""
        vector = np.zeros(len(self.actors), np.float32)
        vector[self.actors.index(actor)] = 1.0
        return vector

    def normalization(self, actor: str) -> ActorNormalization:
        """The constants by which an actor's motion was normalised.

        Raises:
            UserError: the preprocessing run that the actor was trained from was removed or replaced.
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
        """Offsets of the centres of skin and tongue, in centimetres, as preprocessing recorded them."""
        origin = self.origin(actor)
        if "DATA_INFO_FPATH" in origin.files:
            info = actors.read_data_info(origin.files["DATA_INFO_FPATH"])
        else:
            assert origin.folder is not None  # training requires one of the two
            info = PreprocArtifacts.open(origin.folder).data_info
        return dict(info.translate)


def streaming_windows(train: TrainDiffusion) -> WindowSchedule:
    """The windows of a stream that a diffusion network was trained for."""
    window, audio = train.STREAMING_CFG[str(int(train.TARGET_FPS))], train.AUDIO_PARAMS
    return WindowSchedule.divided(
        window=window["window_size"],
        left_context=window["left_truncate"],
        hop=window["block_frame_size"],
        right_context=window["right_truncate"],
        padding=audio["padding_left"],
        samplerate=audio["samplerate"],
    )


class RawDiffusion(RawNetwork):
    """A trained diffusion network that animates the face of one actor in the style of another.

    Args:
        model: the training run.
        options: how recordings are animated; with `sampling`.

    Raises:
        UserError: files of the run are damaged or missing, or its windows have another frame rate.
    """

    predicts_coefficients = False

    def __init__(self, model: TrainedDiffusion, options: RawOptions) -> None:
        if options.sampling is None:
            raise ValueError("a diffusion network needs options of sampling")
        self._model, self.options, self._sampling = model, options, options.sampling
        self._condition = options.condition or options.actor
        condition = model.normalization(self._condition)
        self._face = model.normalization(options.actor)
        self._neutral = condition.neutral
        # The style of one actor on the face of another: motion starts from that face's neutral pose and scales with
        # its size.
        self._ratio = self._face.scale / condition.scale
        self.windows = model.windows
        self.output_size = self.delta_size = model.settings.sizes.total
        self.neutral_skin, self.neutral_tongue = self._face.skin, self._face.tongue
        self.jaw_size = model.settings.jaw_size

    @property
    def model(self) -> TrainedDiffusion:
        """The training run."""
        return self._model

    def predict(self, recording: Track, mode: Mode) -> Iterator[Float32Array]:
        """Runs the network over all frames of a recording."""
        return (block * self._ratio for block in self._predict(recording, mode))

    def to_deltas(self, output: Float32Array) -> Float32Array:
        """The output itself."""
        return output

    def to_raw(self, output: Float32Array) -> Float32Array:
        """Deltas, or values as they were normalised for training."""
        return output if self.options.mode.deltas else output / self._face.scale + self._neutral

    @property
    def label(self) -> str:
        """Actor, condition and emotion as part of a file name."""
        return f"{self.options.actor}_{self._condition}_{self.options.emotion}"

    @property
    def summary(self) -> str:
        """Actor, style, emotion and mode for the log."""
        options = self.options
        return f"{options.actor} speaks as {self._condition}, {options.emotion}, {options.mode.name}"

    @property
    def counterpart(self) -> tuple[str, str]:
        """The mode worth comparing with, and the names of the two that are compared."""
        return "offline" if self.options.mode.windows else "streaming", "whole and stream"

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of network and options for the JSON file beside the output."""
        options, sampling, sizes = self.options, self._sampling, self._model.settings.sizes
        onnx = options.mode.onnx
        return {
            "actor": options.actor,
            "condition": self._condition,
            "emotion": options.emotion,
            "mode": options.mode.name,
            "timesteps": None if onnx else sampling.schedule.timesteps.tolist(),
            "skip_steps": None if onnx else sampling.skip_steps,
            "ddim": sampling.deterministic and not onnx,
            "noise": f"seed {options.seed}" if options.noise_path is None else options.noise_path.name,
            "values": {"skin": sizes.skin, "tongue": sizes.tongue, "jaw": sizes.jaw, "eyes": sizes.eye},
        }

    def _predict(self, recording: Track, mode: Mode) -> Iterator[Float32Array]:
        """Deltas from the condition's neutral face, `[n, values]`."""
        model, sampling = self._model, self._sampling
        identity, emotion = model.identity(self._condition), model.emotions.vector(self.options.emotion)
        if not mode.windows:
            noise = self._clip_noise(recording)
            return sample_recording(self._network, sampling, self.windows, recording, identity, emotion, noise)
        if mode.onnx:
            graph = self._graph
            noise = self._window_noise(graph.info.num_diffusion_steps)
            return animate_windows(self.windows, recording, DiffusionStream(graph, identity, emotion, noise))
        noise = self._window_noise(len(sampling.schedule))
        step = NetworkStream(self._network, sampling, self.windows, identity, emotion, noise)
        return animate_windows(self.windows, recording, step)

    @cached_property
    def _network(self) -> DiffusionNetwork:
        return self._model.network.to(choose_device(self.options.device))

    @cached_property
    def _graph(self) -> DiffusionSession:
        """The exported network of the run."""
        model, steps = self._model, len(self._sampling.schedule)
        folder = model.run.path / DEPLOY_FOLDER
        graph = DiffusionSession.open(folder, graph_device(self.options.device))
        own = graph.info
        if (own.identities, own.emotions, own.windows()) != (model.actors, model.emotions.names, self.windows):
            raise FileFormatError(
                "is not the network of this run: actors, emotions or windows differ",
                path=folder,
                hint=f"Export it again: python run_train.py CONFIG_NAME --resume {model.run.path.name} --finish",
            )
        if own.num_diffusion_steps != steps or self._sampling.deterministic:
            LOGGER.warning(
                "the exported network has %d steps of DDPM; TIMESTEP_RESPACING and USE_DDIM have no effect on it",
                own.num_diffusion_steps,
            )
        return graph

    def _window_noise(self, steps: int) -> Noise:
        frames, path = self.windows.frames, self.options.noise_path
        if path is None:
            return seeded_noise(self.options.seed, frames, self.output_size)
        noise, available = read_noise(path, steps, self.output_size)
        if available < frames:
            raise FileFormatError(f"holds noise for {available} frames, a window has {frames}", path=path)
        return noise

    def _clip_noise(self, recording: Track) -> Noise:
        """Noise of every frame: that of a file with enough for the whole recording, or else that of a stream.

        Whole and stream then differ only by the context that the network receives.
        """
        windows, path, steps = self.windows, self.options.noise_path, len(self._sampling.schedule)
        if path is not None:
            noise, available = read_noise(path, steps, self.output_size)
            if available >= windows.num_frames(len(recording.data)):
                return noise
        return repeated_noise(self._window_noise(steps), windows.left_context, windows.hop, windows.lead_in_frames)


def sample_recording(
    network: DiffusionNetwork,
    sampling: SamplingOptions,
    windows: WindowSchedule,
    track: Track,
    identity: Float32Array,
    emotion: Float32Array,
    noise: Noise,
) -> Iterator[Float32Array]:
    """Animates a recording as a whole: every frame receives context from the whole recording.

    Args:
        network: the network, in evaluation mode.
        sampling: schedule and kind of sampling.
        windows: frame rate and number of frames.
        track: the recording, at their sample rate.
        identity: one-hot actor, float32 `[actors]`.
        emotion: emotion vector, float32 `[emotions]`.
        noise: noise of all frames of the recording, by step.

    Yields:
        Deltas from the neutral face, float32 `[n, values]`, `windows.num_frames` in total.
    """
    device = network.neutral.device
    num_frames = windows.num_frames(len(track.data))
    # The number of samples that training used for this number of frames; beyond the recording there is silence.
    audio = track.read(0, num_segment_samples(num_frames, float(windows.fps), windows.samplerate))
    actor = torch.from_numpy(identity)[None].to(device)
    with torch.inference_mode():
        features = network.encode(torch.from_numpy(audio)[None].to(device))
        conditions = network.conditions(features, num_frames, actor, torch.from_numpy(emotion)[None].to(device))
    blocks = sample_clip(
        network,
        sampling.schedule,
        conditions,
        _on_device(noise, device),
        skip_steps=sampling.skip_steps,
        deterministic=sampling.deterministic,
    )
    for values in blocks:
        yield network.to_deltas(values, actor)[0].cpu().numpy()


class NetworkStream:
    """Animates one recording, window after window, as `inference.DiffusionStream` does with the deployed graph.

    Args:
        network: the network, in evaluation mode.
        sampling: schedule and kind of sampling.
        windows: schedule of the windows.
        identity: one-hot actor, float32 `[actors]`.
        emotion: emotion vector, float32 `[emotions]`.
        noise: noise of a window.
    """

    def __init__(
        self,
        network: DiffusionNetwork,
        sampling: SamplingOptions,
        windows: WindowSchedule,
        identity: Float32Array,
        emotion: Float32Array,
        noise: Noise,
    ) -> None:
        self._device = network.neutral.device
        self._sampler = WindowSampler(
            network,
            sampling.schedule,
            windows,
            skip_steps=sampling.skip_steps,
            deterministic=sampling.deterministic,
        )
        self._identity = torch.from_numpy(identity)[None].to(self._device)
        self._emotion = torch.from_numpy(emotion)[None].to(self._device)
        self._noise = _on_device(noise, self._device)
        self._hidden_state = initial_hidden_state(network, sampling.schedule, 1)
        self._kept = windows.kept

    @torch.inference_mode()
    def __call__(self, window: Float32Array) -> Float32Array:
        """Animates the next window: float32 audio `[1, samples]` to the deltas of its kept frames, `[hop, values]`."""
        audio = torch.from_numpy(window).to(self._device)
        prediction, self._hidden_state = self._sampler.sample(
            audio, self._identity, self._emotion, self._hidden_state, self._noise
        )
        frames: Float32Array = prediction[0, self._kept].cpu().numpy()
        return frames


def _on_device(noise: Noise, device: torch.device) -> NoiseSource:
    return lambda index, start, stop: torch.from_numpy(noise(index, start, stop))[None].to(device)
