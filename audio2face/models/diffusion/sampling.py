"""Animation out of a trained diffusion network: whole clips, and windows of a stream.

Knows the network and the process. Knows neither audio files nor what is done with the animation.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.models.diffusion.network import Conditioning, DiffusionNetwork
from audio2face.models.diffusion.process import NoiseSchedule, NoiseSource, fixed_noise, random_noise, sample
from audio2face.models.windows import WindowSchedule

# Frames that a clip is sampled by; at 90,000 values a frame, some 100 MB for each tensor.
BLOCK_FRAMES = 256


def initial_hidden_state(network: DiffusionNetwork, schedule: NoiseSchedule, batch: int) -> Tensor:
    """The state of the GRU at the start of a stream, `[steps, layers, batch, gru_feature_dim]`."""
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
    """Samples a clip, block after block of its frames.

    The speech has been encoded as a whole and each step's GRU goes on where it stopped, so the blocks together are what
    sampling all frames at once gives for the same noise.

    Args:
        network: in evaluation mode.
        schedule: the steps to go through.
        conditions: of all frames of the clip.
        noise: of each step, for a range of frames.
        skip_steps: how many of the noisiest steps are skipped.
        deterministic: add no noise on the way (DDIM).
        block_frames: bounds memory.

    Yields:
        Normalised animation `[batch, block_frames, values]`; the last block may be shorter.

    Raises:
        UserError: no step is left.
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
    """One window of a stream, as a function of everything it depends on; this is what is exported.

    Args:
        network: in evaluation mode.
        schedule: the steps to go through.
        windows: which frames of a window are kept.
        deltas: give differences from the neutral face in the mesh's unit; otherwise normalised values.
        skip_steps: how many of the noisiest steps are skipped; their hidden state passes through.
        deterministic: add no noise on the way (DDIM).
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
        """Samples the middle of a window.

        Args:
            window: audio `[batch, samples]`, or features `[batch, steps, encoder_width]`.
            identity: `[batch, actors]`.
            emotion: `[batch, emotions]`, or for each frame that is kept, `[batch, hop, emotions]`.
            input_latents: what the window before gave; at first `initial_hidden_state`.
            noise: `[batch, steps + 1, frames, values]`; the last step is where sampling starts from, step i is added at
                step i of the schedule, step 0 never. None: drawn from torch's global generator.

        Returns:
            prediction: `[batch, frames, values]`, zero outside the frames that are kept.
            output_latents: for the next window.
        """
        source = fixed_noise(noise) if noise is not None else self._sample_window(window)
        return self.sample(window, identity, emotion, input_latents, source)

    def sample(
        self, window: Tensor, identity: Tensor, emotion: Tensor, input_latents: Tensor, noise: NoiseSource
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, with noise that is made when it is needed: for frames of the window, counted from its first."""
        features = self.network.encode(window)
        whole = self.network.conditions(features, self.windows.frames, identity, emotion)
        # Frames of the context never reach the GRU, so nothing of them is computed; emotion has none of them.
        kept = self.windows.kept
        conditions = Conditioning(whole.speech[:, kept], whole.actor, whole.emotion, whole.neutral)
        values, hidden_state = _sample_frames(
            self.network,
            self.schedule,
            conditions,
            input_latents,
            noise,
            (kept.start, kept.stop),
            skip_steps=self.skip_steps,
            deterministic=self.deterministic,
        )
        if self.deltas:
            values = self.network.to_deltas(values, identity)
        return functional.pad(values, (0, 0, self.windows.left_context, self.windows.right_context)), hidden_state

    def _sample_window(self, window: Tensor) -> NoiseSource:
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
    """Samples a range of frames, and carries the state of each step from before them to behind them."""
    states = list(hidden_state.unbind(0))
    batch = conditions.speech.shape[0]  # len() would make it a constant of an exported graph

    def predict(step: int, noisy: Tensor) -> Tensor:
        level = torch.tensor([int(schedule.timesteps[step])], device=noisy.device)
        x0, states[step] = network.denoise(noisy.expand(batch, -1, -1), level, conditions, states[step])
        return x0

    values = sample(schedule, predict, noise, frames, skip_steps=skip_steps, deterministic=deterministic)
    return values, torch.stack(states)
