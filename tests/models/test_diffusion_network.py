"""What holds of the diffusion network whatever its weights."""

from __future__ import annotations

import pytest
import torch
from reference_diffusion import WINDOWS, random_network, settings
from torch import Tensor, nn

from audio2face.models.diffusion.loss import DiffusionLoss, DiffusionLossWeights
from audio2face.models.diffusion.network import ActorConstants, DiffusionNetwork, widen_actors
from audio2face.models.diffusion.process import (
    add_noise,
    fixed_noise,
    make_noise_schedule,
    original_timesteps,
    random_noise,
    sample_timesteps,
)
from audio2face.models.diffusion.sampling import WindowSampler, initial_hidden_state, sample_clip

VALUES = 139
SCHEDULE = make_noise_schedule("cosine", 1000, "3")


class Encoder(nn.Module):
    """Every clip is normalised as a whole, so that padding would show."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 24, 400, 320)
        self.calls = 0

    def forward(self, audio: Tensor) -> Tensor:
        self.calls += 1
        audio = (audio - audio.mean(1, keepdim=True)) / audio.std(1, keepdim=True)
        return self.filters(audio[:, None]).mT


def inputs(batch: int, frames: int, actors: int = 2) -> tuple[Tensor, ...]:
    """Noisy animation, timesteps, features, actor, emotion."""
    return (
        torch.randn(batch, frames, VALUES),
        torch.randint(1000, (batch,)),
        torch.randn(batch, 40, 24),
        torch.eye(actors)[torch.arange(batch) % actors],
        torch.rand(batch, 2),
    )


@torch.no_grad()
@pytest.mark.parametrize("fps", [60, 30])
def test_a_padded_batch_equals_its_single_items(fps: int) -> None:
    network = random_network(fps=fps)
    noisy, timesteps, features, actor, emotion = inputs(3, 50)
    frames, steps = [50, 31, 1], [40, 26, 5]
    padded = network(noisy, timesteps, features, actor, emotion, torch.tensor(frames), torch.tensor(steps))
    for i, (frame, step) in enumerate(zip(frames, steps, strict=True)):
        one = slice(i, i + 1)
        alone = network(noisy[one, :frame], timesteps[one], features[one, :step], actor[one], emotion[one])
        torch.testing.assert_close(padded[one, :frame], alone)


@torch.no_grad()
def test_audio_of_unequal_length_is_encoded_clip_by_clip() -> None:
    network = random_network()
    network.encoder = Encoder()
    noisy, timesteps, _, actor, emotion = inputs(2, 60)
    audio, samples, frames = torch.randn(2, 16000), [16000, 9000], [60, 33]
    padded = network(noisy, timesteps, audio, actor, emotion, torch.tensor(frames), torch.tensor(samples))
    for i in range(2):
        one, frame = slice(i, i + 1), frames[i]
        alone = network(noisy[one, :frame], timesteps[one], audio[one, : samples[i]], actor[one], emotion[one])
        torch.testing.assert_close(padded[one, :frame], alone)


@torch.no_grad()
def test_a_stream_of_any_blocks_equals_the_whole_clip() -> None:
    network = random_network()
    noisy, timesteps, features, actor, _ = inputs(2, 30)
    conditions = network.conditions(features, 30, actor, torch.rand(2, 30, 2))
    whole, last = network.denoise(noisy, timesteps, conditions)
    latents, parts = None, []
    for start, stop in ((0, 1), (1, 17), (17, 30)):
        part, latents = network.denoise(noisy[:, start:stop], timesteps, conditions.slice_frames(start, stop), latents)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    torch.testing.assert_close(latents, last)


@torch.no_grad()
@pytest.mark.parametrize("actors", [1, 2, 5])
def test_windows_of_any_batch_and_any_number_of_actors(actors: int) -> None:
    network, window = random_network(actors), WINDOWS[60]
    sampler = WindowSampler(network, SCHEDULE, window, skip_steps=1)
    _, _, features, actor, _ = inputs(3, 1, actors)
    emotion, noise = torch.rand(3, window.hop, 2), torch.randn(3, 4, window.frames, VALUES)
    latents = torch.randn_like(initial_hidden_state(network, SCHEDULE, 3))
    together, after = sampler(features, actor, emotion, latents, noise)
    assert torch.equal(after[2], latents[2]), "the state of a step that is skipped passes through"
    for i in range(3):
        one = slice(i, i + 1)
        alone, alone_after = sampler(features[one], actor[one], emotion[one], latents[:, :, one], noise[one])
        torch.testing.assert_close(together[one], alone)
        torch.testing.assert_close(after[:, :, one], alone_after)


@torch.no_grad()
def test_deltas_are_normalised_values_times_scale() -> None:
    network, window = random_network(), WINDOWS[60]
    _, _, features, actor, emotion = inputs(2, 1)
    arguments = (
        features,
        actor,
        emotion,
        initial_hidden_state(network, SCHEDULE, 2),
        torch.randn(1, 4, window.frames, VALUES),
    )
    normalised, _ = WindowSampler(network, SCHEDULE, window, deltas=False)(*arguments)
    deltas, _ = WindowSampler(network, SCHEDULE, window)(*arguments)
    kept = window.kept
    torch.testing.assert_close(
        deltas[:, kept], (normalised[:, kept] - network.neutral[:, None]) * network.scale[:, None]
    )


def test_the_encoder_runs_once() -> None:
    network = random_network()
    network.encoder = Encoder()
    sampler = WindowSampler(network, make_noise_schedule("cosine", 1000, "20"), WINDOWS[60])
    latents = initial_hidden_state(network, sampler.schedule, 1)
    with torch.no_grad():
        sampler(torch.randn(1, 16000), torch.eye(2)[:1], torch.rand(1, 2), latents)
    assert network.encoder.calls == 1


def test_sampling_is_reproducible_from_the_seed() -> None:
    network = random_network()
    _, _, features, actor, emotion = inputs(1, 1)
    with torch.no_grad():
        conditions = network.conditions(features, 20, actor, emotion)

    def clip(seed: int) -> Tensor:
        noise = random_noise(1, VALUES, torch.Generator().manual_seed(seed))
        return torch.cat(list(sample_clip(network, SCHEDULE, conditions, noise, block_frames=8)), dim=1)

    assert torch.equal(clip(1), clip(1))
    assert not torch.equal(clip(1), clip(2))


def test_an_untrained_network_predicts_the_neutral_face_of_the_actor() -> None:
    constants = ActorConstants(torch.randn(3, VALUES), torch.ones(3, 4))
    network = DiffusionNetwork(settings(actors=3), constants).eval()
    noisy, timesteps, features, _, emotion = inputs(2, 4)
    mixture = torch.tensor([[0.0, 1, 0], [0.5, 0, 0.5]])
    predicted = network(noisy, timesteps, features, mixture, emotion)
    torch.testing.assert_close(predicted, (mixture @ constants.neutral)[:, None].expand(-1, 4, -1))
    assert not [name for name in network.state_dict() if name in ("neutral", "scale")]


def test_constants_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit 2 actors"):
        DiffusionNetwork(settings(), ActorConstants(torch.zeros(3, VALUES), torch.ones(3, 4)))


def test_a_network_without_encoder_takes_features() -> None:
    with pytest.raises(ValueError, match="has no encoder"):
        random_network().encode(torch.zeros(1, 16000))
    with pytest.raises(ValueError, match="given together"):
        random_network()(*inputs(1, 5), lengths=torch.tensor([5]))


def test_more_actors_keep_the_trained_weights() -> None:
    trained = random_network(2)
    widened = widen_actors(trained.state_dict(), [1, None, 0])
    grown = random_network(3)
    grown.load_state_dict(widened)
    columns, old = grown.actor_projection.weight, trained.actor_projection.weight
    torch.testing.assert_close(columns, torch.stack([old[:, 1], old.mean(1), old[:, 0]], dim=1))
    assert torch.equal(
        grown.state_dict()["gru.layers.0.weight_hh_l0"], trained.state_dict()["gru.layers.0.weight_hh_l0"]
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_reaches_every_weight_and_lowers_the_loss(precision: str) -> None:
    torch.manual_seed(0)
    network = random_network().train()
    network.encoder = Encoder()
    schedule, generator = make_noise_schedule("cosine", 1000), torch.Generator().manual_seed(0)
    objective = DiffusionLoss(network.settings.sizes, DiffusionLossWeights(0.1, 1.0, None, 10.0, None, None), [])
    target, _, _, actor, emotion = inputs(2, 20)
    audio = torch.randn(2, 5333)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            steps = sample_timesteps(schedule, 2, generator)
            noisy = add_noise(schedule, target, steps, torch.randn_like(target))
            predicted = network(noisy, original_timesteps(schedule, steps), audio, actor, emotion)
            loss = objective(predicted, target, [0, 1]).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert loss.dtype == torch.float32
    assert all(weight.grad is not None and weight.grad.any() for weight in network.parameters())
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.slow
def test_one_graph_samples_windows_of_any_batch_size() -> None:
    network, window = random_network(), WINDOWS[60]
    network.encoder = Encoder().eval()
    sampler = WindowSampler(network, SCHEDULE, window).eval()

    def arguments(batch: int) -> tuple[Tensor, ...]:
        _, _, _, actor, _ = inputs(batch, 1)
        noise = torch.randn(batch, 4, window.frames, VALUES)
        latents = torch.randn(3, 2, batch, 16)
        return torch.randn(batch, 16000), actor, torch.rand(batch, window.hop, 2), latents, noise

    dynamic = torch.export.Dim.DYNAMIC
    axes = ({0: dynamic}, {0: dynamic}, {0: dynamic}, {2: dynamic}, {0: dynamic})
    graph = torch.export.export(sampler, arguments(3), dynamic_shapes=axes).module()
    for batch in (2, 5):
        given = arguments(batch)
        torch.testing.assert_close(graph(*given), sampler(*given))


@torch.no_grad()
def test_given_noise_broadcasts_over_a_batch() -> None:
    network = random_network()
    _, _, features, actor, emotion = inputs(2, 1)
    conditions = network.conditions(features, 9, actor, emotion)
    noise = torch.randn(1, 4, 9, VALUES)
    shared = next(sample_clip(network, SCHEDULE, conditions, fixed_noise(noise)))
    repeated = next(sample_clip(network, SCHEDULE, conditions, fixed_noise(noise.expand(2, -1, -1, -1))))
    assert torch.equal(shared, repeated)
