"""INFERENCE_MODE, taken apart: by what the network is run, how it hears, and what its raw output means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import torch

from audio2face.audio import Track
from audio2face.config import TrainDiffusion
from audio2face.config_base.types import InferenceMode
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.inference import Noise, repeated_noise
from audio2face.models.diffusion.network import DiffusionNetwork
from audio2face.models.diffusion.process import NoiseSchedule, NoiseSource
from audio2face.models.diffusion.sampling import WindowSampler, initial_hidden_state, sample_clip
from audio2face.models.windows import WindowSchedule
from audio2face.training.data.segments import num_segment_samples
from audio2face.types import Float32Array

DEFAULT_MODE: InferenceMode = "offline"


@dataclass(frozen=True)
class Mode:
    """How a network is run.

    Attributes:
        name: INFERENCE_MODE.
        windows: as a stream, window by window; otherwise the recording as a whole.
        onnx: the exported network by ONNX Runtime; otherwise the trained one by PyTorch.
        deltas: raw output is displacements; otherwise normalised values.
    """

    name: InferenceMode
    windows: bool
    onnx: bool
    deltas: bool

    @classmethod
    def parse(cls, name: str) -> Mode:
        """Takes a mode apart.

        Raises:
            UserError: there is no such mode, or it asks for TensorRT.
        """
        known = {mode: mode for mode in get_args(InferenceMode)}
        if name not in known:
            raise UserError(f"there is no inference mode {name!r}", hint=f"There are: {', '.join(known)}.")
        if name.endswith("_trt"):
            instead = name.removesuffix("_trt") + "_onnx"
            raise UserError(
                f"INFERENCE_MODE is {name!r}, but TensorRT engines are not run here",
                hint=f"Use {instead!r}, which runs the network that the engine is built from. To build and use an "
                "engine, deploy the run and follow the README of the deployed folder.",
            )
        onnx = name.endswith("_onnx")
        if name == "offline_onnx":
            LOGGER.info(
                "the exported network takes windows only: offline_onnx gives what streaming_stateless_onnx gives"
            )
        return cls(
            known[name], windows=onnx or not name.startswith("offline"), onnx=onnx, deltas="output_delta" in name
        )


@dataclass(frozen=True)
class SamplingOptions:
    """How noise is taken away.

    Attributes:
        schedule: the steps.
        skip_steps: how many of the noisiest are left out.
        deterministic: adds no noise on the way (DDIM).
    """

    schedule: NoiseSchedule
    skip_steps: int = 0
    deterministic: bool = False


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


def sample_whole(
    network: DiffusionNetwork,
    sampling: SamplingOptions,
    windows: WindowSchedule,
    track: Track,
    identity: Float32Array,
    emotion: Float32Array,
    noise: Noise,
) -> Iterator[Float32Array]:
    """Animates a recording as a whole: every frame is heard with all that comes before and after it.

    Args:
        network: in evaluation mode.
        sampling: how noise is taken away.
        windows: tell rate and number of frames.
        track: the recording, at their sample rate.
        identity: `[actors]`.
        emotion: `[emotions]`.
        noise: for all frames of the recording, see `whole_noise`.

    Yields:
        Displacements from the face at rest `[n, values]`, `windows.num_frames` in total.
    """
    device = network.neutral.device
    num_frames = windows.num_frames(len(track.data))
    # As many samples as so many frames were trained with; what lies behind the recording sounds silent.
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


def whole_noise(noise: Noise, windows: WindowSchedule) -> Noise:
    """The noise that each frame of a recording meets in a stream, so that whole and stream differ by what they hear."""
    return repeated_noise(noise, windows.left_context, windows.hop, windows.lead_in_frames)


class NetworkStream:
    """Animates one recording, window after window; what `inference.StreamingSession` is for the deployed graph.

    Args:
        network: in evaluation mode.
        sampling: how noise is taken away.
        windows: the windows.
        identity: `[actors]`.
        emotion: `[emotions]`.
        noise: of a window.
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
        """The frames kept of the next window: audio `[1, samples]` to displacements `[hop, values]`, float32."""
        audio = torch.from_numpy(window).to(self._device)
        prediction, self._hidden_state = self._sampler.sample(
            audio, self._identity, self._emotion, self._hidden_state, self._noise
        )
        frames: Float32Array = prediction[0, self._kept].cpu().numpy()
        return frames


def _on_device(noise: Noise, device: torch.device) -> NoiseSource:
    return lambda index, start, stop: torch.from_numpy(noise(index, start, stop))[None].to(device)
