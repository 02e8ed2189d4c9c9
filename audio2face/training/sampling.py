"""Animation out of a trained diffusion network with torch: a recording as a whole, or window by window as a stream.

Gives what the deployed graph gives: displacements from the face at rest. Knows samples and frames, no files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from audio2face.audio import Track
from audio2face.inference import Noise, WindowPlan, repeated_noise
from audio2face.networks.diffusion_process import NoiseSource
from audio2face.networks.diffusion_rnn import Network
from audio2face.networks.diffusion_sampling import WindowFrames, WindowSampler, sample_clip, zero_latents
from audio2face.networks.noise_schedule import NoiseSchedule
from audio2face.training.segments import num_segment_samples

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sampling:
    """How noise is taken away.

    Attributes:
        schedule: the steps.
        skip_steps: how many of the noisiest are left out.
        deterministic: adds no noise on the way (DDIM).
    """

    schedule: NoiseSchedule
    skip_steps: int = 0
    deterministic: bool = False


def sample_whole(
    network: Network,
    sampling: Sampling,
    plan: WindowPlan,
    track: Track,
    identity: Float32Array,
    emotion: Float32Array,
    noise: Noise,
) -> Iterator[Float32Array]:
    """Animates a recording as a whole: every frame is heard with all that comes before and after it.

    Args:
        network: in evaluation mode.
        sampling: how noise is taken away.
        plan: tells rate and number of frames.
        track: the recording, at the plan's rate.
        identity: `[actors]`.
        emotion: `[emotions]`.
        noise: for all frames of the recording, see `whole_noise`.

    Yields:
        Displacements from the face at rest `[n, values]`, `plan.num_frames` in total.
    """
    device = network.neutral.device
    num_frames = plan.num_frames(len(track.data))
    # As many samples as so many frames were trained with; what lies behind the recording sounds silent.
    audio = track.read(0, num_segment_samples(num_frames, float(plan.fps), plan.samplerate))
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


def whole_noise(noise: Noise, plan: WindowPlan) -> Noise:
    """The noise that each frame of a recording meets in a stream, so that whole and stream differ by what they hear."""
    return repeated_noise(noise, plan.left, plan.block, plan.leading)


class NetworkStream:
    """Animates one recording, window after window; what `inference.GraphStream` is for the deployed graph.

    Args:
        network: in evaluation mode.
        sampling: how noise is taken away.
        plan: the windows.
        identity: `[actors]`.
        emotion: `[emotions]`.
        noise: of a window.
    """

    def __init__(
        self,
        network: Network,
        sampling: Sampling,
        plan: WindowPlan,
        identity: Float32Array,
        emotion: Float32Array,
        noise: Noise,
    ) -> None:
        self._device = network.neutral.device
        self._sampler = WindowSampler(
            network,
            sampling.schedule,
            WindowFrames(plan.left, plan.block, plan.right),
            skip_steps=sampling.skip_steps,
            deterministic=sampling.deterministic,
        )
        self._identity = torch.from_numpy(identity)[None].to(self._device)
        self._emotion = torch.from_numpy(emotion)[None].to(self._device)
        self._noise = _on_device(noise, self._device)
        self._latents = zero_latents(network, sampling.schedule, 1)
        self._kept = slice(plan.left, plan.left + plan.block)

    @torch.inference_mode()
    def __call__(self, window: Float32Array) -> Float32Array:
        """The frames kept of the next window: audio `[samples]` to displacements `[block, values]`."""
        audio = torch.from_numpy(window)[None].to(self._device)
        prediction, self._latents = self._sampler.sample(
            audio, self._identity, self._emotion, self._latents, self._noise
        )
        frames: Float32Array = prediction[0, self._kept].cpu().numpy()
        return frames


def _on_device(noise: Noise, device: torch.device) -> NoiseSource:
    return lambda index, start, stop: torch.from_numpy(noise(index, start, stop))[None].to(device)
