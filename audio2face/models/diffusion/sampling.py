"""Sampling with a trained diffusion network: whole clips in blocks of frames, and windows of a stream."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.models.diffusion.network import Conditioning, DiffusionNetwork
from audio2face.models.diffusion.process import NoiseSchedule, NoiseSource, fixed_noise, random_noise, sample
from audio2face.models.windows import WindowSchedule

# Frames sampled at once; at 90,000 channels a frame, about 100 MB per tensor.
BLOCK_FRAMES = 256


def initial_hidden_state(network: DiffusionNetwork, schedule: NoiseSchedule, batch: int) -> Tensor:
    """Makes the GRU's hidden state at the start of a stream: zeros `[steps, layers, batch, gru_feature_dim]`."""
    settings = network.settings
    shape = (len(schedule), settings.num_gru_layers, batch, settings.gru_feature_dim)
    return torch.zeros(shape, device=network.neutral.device)


def sample_clip(
    network: DiffusionNetwork,
    schedule: NoiseSchedule,
    conditions: Conditioning,
    noise: NoiseSource,
    *,
    skip_steps: int = 0,
    deterministic: bool = False,
    block_frames: int = BLOCK_FRAMES,
) -> Iterator[Tensor]:
    """Samples a clip in blocks of frames, which bounds memory.

    The speech is encoded as a whole, and the hidden state of each step is carried from block to block. The blocks
    together therefore equal a sample of all frames at once from the same noise.

    Args:
        network: in evaluation mode.
        schedule: the denoising steps.
        conditions: conditioning of all frames of the clip.
        noise: source of noise.
        skip_steps: number of the noisiest steps to skip.
        deterministic: samples with DDIM instead of DDPM.
        block_frames: frames per block.

    Yields:
        Normalised animation `[batch, block_frames, channels]`; the last block may be shorter.

    Raises:
        UserError: `skip_steps` skips every step.
    """
    batch, frames = conditions.speech.shape[:2]
    hidden_state = initial_hidden_state(network, schedule, batch)
    for start in range(0, frames, block_frames):
        stop = min(start + block_frames, frames)
        with torch.no_grad():
            values, hidden_state = _sample_frames(
                network,
                schedule,
                conditions.slice_frames(start, stop),
                hidden_state,
                noise,
                (start, stop),
                skip_steps=skip_steps,
                deterministic=deterministic,
            )
        yield values


class WindowSampler(nn.Module):
    """Samples one window of a stream as a pure function of its inputs; this module is exported to ONNX.

    Args:
        network: in evaluation mode.
        schedule: the denoising steps.
        windows: schedule of the windows: output frames and contexts.
        deltas: returns deltas from the neutral face in the mesh's unit; otherwise normalised channels.
        skip_steps: number of the noisiest steps to skip; their hidden states pass through unchanged.
        deterministic: samples with DDIM instead of DDPM.
    """

    def __init__(
        self,
        network: DiffusionNetwork,
        schedule: NoiseSchedule,
        windows: WindowSchedule,
        *,
        deltas: bool = True,
        skip_steps: int = 0,
        deterministic: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.windows = windows
        self.deltas = deltas
        self.skip_steps = skip_steps
        self.deterministic = deterministic

    def forward(
        self, window: Tensor, identity: Tensor, emotion: Tensor, input_latents: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Samples the output frames of a window.

        Args:
            window: audio `[batch, samples]`, or features `[batch, steps, encoder_width]`.
            identity: `[batch, actors]`.
            emotion: `[batch, emotions]`, or per output frame, `[batch, hop, emotions]`.
            input_latents: hidden state after the previous window; `initial_hidden_state` for the first.
            noise: `[batch, steps + 1, frames, channels]`; the last index is the initial sample, index i the noise added
                at step i of the schedule, index 0 is unused. None: drawn from torch's global generator.

        Returns:
            prediction: `[batch, frames, channels]`, zero in the contexts.
            output_latents: hidden state for the next window.
        """
        source = fixed_noise(noise) if noise is not None else self._window_noise(window)
        return self.sample(window, identity, emotion, input_latents, source)

    def sample(
        self, window: Tensor, identity: Tensor, emotion: Tensor, input_latents: Tensor, noise: NoiseSource
    ) -> tuple[Tensor, Tensor]:
        """Samples like `forward`, with noise from a source; its frames count from the first frame of the window."""
        features = self.network.encode(window)
        whole = self.network.conditions(features, self.windows.frames, identity, emotion)
        # Context frames never reach the GRU and are not computed; `emotion` covers the output frames only.
        kept = self.windows.kept
        hop_conditioning = Conditioning(whole.speech[:, kept], whole.actor, whole.emotion, whole.neutral)
        values, hidden_state = _sample_frames(
            self.network,
            self.schedule,
            hop_conditioning,
            input_latents,
            noise,
            (kept.start, kept.stop),
            skip_steps=self.skip_steps,
            deterministic=self.deterministic,
        )
        if self.deltas:
            values = self.network.to_deltas(values, identity)
        return functional.pad(values, (0, 0, self.windows.left_context, self.windows.right_context)), hidden_state

    def _window_noise(self, window: Tensor) -> NoiseSource:
        values = self.network.settings.sizes.total
        return random_noise(window.shape[0], values, None, window.device)


def _sample_frames(
    network: DiffusionNetwork,
    schedule: NoiseSchedule,
    conditions: Conditioning,
    hidden_state: Tensor,
    noise: NoiseSource,
    frames: tuple[int, int],
    *,
    skip_steps: int,
    deterministic: bool,
) -> tuple[Tensor, Tensor]:
    """Samples a range of frames and advances the hidden state of each step past them."""
    states = list(hidden_state.unbind(0))
    batch = conditions.speech.shape[0]  # len() would become a constant of the exported graph

    def predict(step: int, noisy: Tensor) -> Tensor:
        level = torch.tensor([int(schedule.timesteps[step])], device=noisy.device)
        x0, states[step] = network.denoise(noisy.expand(batch, -1, -1), level, conditions, states[step])
        return x0

    values = sample(schedule, predict, noise, frames, skip_steps=skip_steps, deterministic=deterministic)
    return values, torch.stack(states)
