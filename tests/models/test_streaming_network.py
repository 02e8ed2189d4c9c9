"""The streaming network: what each frame depends on, the same in steps as in one piece, causal, and its losses."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from audio2face.config_base.types import STREAMING_RATES
from audio2face.models import encoders
from audio2face.models.encoders.entries.a2f_phonetic import PhoneticEncoder
from audio2face.models.encoders.frames import CausalEncoder
from audio2face.models.layers import ChannelSizes
from audio2face.models.streaming.front_end import POWERS, FrontEnd
from audio2face.models.streaming.loss import StreamingGeometry, StreamingLoss, StreamingLossWeights
from audio2face.models.streaming.network import ExportedStep, StreamingNetwork, StreamingSettings, cut_windows
from audio2face.models.streaming.timing import StepTiming
from audio2face.phonetic import front_end
from audio2face.phonetic.network import DILATIONS, TAPS, causal_network

RATE = 16_000
FRAMES = 12


def make_network(fps: float = 30.0, look_ahead: int = 2, encoder_name: str = "a2f-phonetic") -> StreamingNetwork:
    encoder = encoders.create(encoder_name)
    assert isinstance(encoder, CausalEncoder)
    torch.manual_seed(0)
    settings = StreamingSettings(
        skin_size=5,
        tongue_size=2,
        jaw_size=3,
        eye_size=4,
        actors=2,
        emotions=3,
        fps=fps,
        look_ahead_frames=look_ahead,
        width=16,
        dilations=(1, 2),
        dropout=0.2,
    )
    network = StreamingNetwork(settings, encoder).eval()
    torch.nn.init.normal_(network.output.weight)
    return network


def segment(network: StreamingNetwork, num_frames: int = FRAMES) -> Tensor:
    before, after = network.timing.margins
    samples = before + int(num_frames * network.timing.stride) + after
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fps", STREAMING_RATES)
@pytest.mark.parametrize("look_ahead", [0, 1, 2, 3, 6])
def test_a_frame_hears_its_look_ahead_and_no_sample_is_left_out(fps: float, look_ahead: int) -> None:
    timing = StepTiming(Fraction(fps), look_ahead)
    schedule = timing.schedule()
    first = schedule.lead_in_frames
    assert schedule.timestamp(first) == 0
    assert schedule.lookahead == timing.look_ahead == int(look_ahead * RATE / Fraction(fps))
    assert schedule.end_sample(0) <= 0  # the first window holds silence alone
    for frame in range(first, first + 50):
        ahead = schedule.end_sample(frame) - (frame - first) * timing.stride
        assert timing.look_ahead - 1 < ahead <= timing.look_ahead
        assert schedule.first_sample(frame + 1) <= schedule.end_sample(frame)
    starts = timing.window_starts(FRAMES)
    middles = [timing.margins[0] + (frame + Fraction(1, 2)) * timing.stride for frame in range(FRAMES)]
    ends = [start + timing.window for start in starts[timing.context_frames :]]
    assert all(-1 < end - middle - timing.look_ahead <= 0 for end, middle in zip(ends, middles, strict=True))
    assert starts[0] >= 0
    assert ends[-1] <= timing.margins[0] + FRAMES * timing.stride + timing.margins[1]


def test_the_input_is_that_of_the_speech_encoder() -> None:
    """At 25 frames per second its frames lie as the encoder's own do, every 10 ms."""
    timing = StepTiming(Fraction(25), 0)
    random = np.random.default_rng(0)
    audio = (random.standard_normal(4 * RATE) * np.repeat([0.1, 0.001, 0.0, 0.02], RATE)).astype(np.float32)
    padded = np.concatenate([np.zeros(front_end.OVERLAP, np.float32), audio])
    starts = np.arange(0, len(audio), 640)
    windows = torch.from_numpy(np.stack([padded[start : start + timing.window] for start in starts]))[None]
    ours, powers, level = FrontEnd(timing)(windows, torch.zeros(1, POWERS), torch.zeros(1, 1))
    expected = front_end.FrontEnd().push(audio)
    np.testing.assert_allclose(ours[0].numpy(), expected, atol=2e-4)
    assert powers.shape == (1, POWERS)
    assert level.shape == (1, 1)


def test_the_encoder_in_pieces_equals_that_in_numpy() -> None:
    frames = np.random.default_rng(0).standard_normal((299, 80)).astype(np.float32)
    numpy_network = causal_network()
    expected = numpy_network.advance(numpy_network.start(), frames).scores
    encoder = encoders.create("a2f-phonetic")
    assert isinstance(encoder, PhoneticEncoder)
    past = [torch.zeros(1, *shape) for shape in encoder.network.past_shapes]
    # One frame more before, since a step in NumPy begins with an odd frame.
    silent = np.full((1, 80), front_end.SILENT_FRAME, np.float32)
    scores = []
    with torch.no_grad():
        for piece in torch.split(torch.from_numpy(np.concatenate([silent, frames]))[None], [2, 10, 4, 284], dim=1):
            output, past = encoder.network.advance(piece, past)
            scores.append(output.scores)
    kept = len(expected) - sum(DILATIONS) * (TAPS - 1)  # steps whose past does not reach the start
    np.testing.assert_allclose(torch.cat(scores, dim=1)[0, -kept:].numpy(), expected[-kept:], atol=1e-3)
    assert kept > 50


@pytest.mark.parametrize("encoder", ["a2f-phonetic", "logmel-causal"])
@pytest.mark.parametrize(("fps", "look_ahead"), [(30.0, 2), (60.0, 4), (25.0, 0)])
def test_steps_equal_the_whole(fps: float, look_ahead: int, encoder: str) -> None:
    network = make_network(fps, look_ahead, encoder)
    audio, emotion, actor = segment(network), torch.rand(2, 3), torch.eye(2)
    windows, step = cut_windows(audio, network.timing, FRAMES), ExportedStep(network)
    state, frames = network.start(2), []
    with torch.no_grad():
        whole = network(audio, FRAMES, emotion, actor)
        for index in range(windows.shape[1]):
            frame, state = step(windows[:, index], actor, emotion, state)
            frames.append(frame)
    torch.testing.assert_close(torch.cat(frames, dim=1)[:, -FRAMES:], whole, rtol=1e-4, atol=1e-4)
    assert state.shape == (2, network.state_size)


@pytest.mark.parametrize("look_ahead", [0, 2, 6])
def test_sound_after_the_look_ahead_changes_no_bit(look_ahead: int) -> None:
    network = make_network(look_ahead=look_ahead)
    audio, emotion, actor = segment(network), torch.rand(2, 3), torch.eye(2)
    frame = 5
    cut = network.timing.window_starts(FRAMES)[network.timing.context_frames + frame] + network.timing.window
    changed = audio.clone()
    changed[:, cut:] = 1.0
    with torch.no_grad():
        one, other = (network(sound, FRAMES, emotion, actor) for sound in (audio, changed))
    assert torch.equal(one[:, : frame + 1], other[:, : frame + 1])
    assert not torch.equal(one[:, frame + 1], other[:, frame + 1])


def test_every_part_of_the_state_counts() -> None:
    """A state that is lost, in whichever part, changes the next frame."""
    network = make_network()
    windows = cut_windows(segment(network), network.timing, FRAMES)
    emotion, actor = torch.rand(2, windows.shape[1], 3), torch.eye(2)
    with torch.no_grad():
        _, state = network.advance(windows[:, :-2], emotion[:, :-2], actor, network.start(2))
        kept, _ = network.advance(windows[:, -2:], emotion[:, -2:], actor, state)
        start = 0
        for shape in network.state_shapes:
            end = start + int(np.prod(shape))
            lost = state.clone()
            lost[:, start:end] = 0
            forgot, _ = network.advance(windows[:, -2:], emotion[:, -2:], actor, lost)
            assert not torch.equal(forgot, kept), shape
            start = end
    assert start == network.state_size


SIZES = ChannelSizes(2, 1, 3, 4)
WEIGHTS = StreamingLossWeights(
    mse=1.0, velocity=1.0, lip_position=1.0, lip_distance=1.0, lip_distance_exponent=0.0, tongue=1.0, jaw=1.0
)


def face(scale: float = 1.0) -> StreamingGeometry:
    """Two vertices, one above the other; the first component raises the upper one."""
    components = torch.zeros(2, 2, 3)
    components[0, 0, 1], components[1, 1, 0] = scale, 1.0
    deviation = torch.tensor([3.0, 4.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    return StreamingGeometry(torch.zeros(2, 3), components, deviation, lips=torch.tensor([[0], [1]]))


def test_losses_of_a_known_error() -> None:
    target = torch.zeros(1, 3, 10)
    predicted = target.clone()
    predicted[:, 1:, 0] = 0.5  # the upper lip is 5 mm too high in two of three frames
    terms = StreamingLoss(SIZES, WEIGHTS, [face()])(predicted, target, (0,)).terms
    assert terms["mse"].item() == pytest.approx(2 / 3 * 0.25 / (3**2 + 4**2))
    assert terms["velocity"].item() == pytest.approx(1 / 2 * 0.25 / 25)
    assert terms["lip_position"].item() == pytest.approx(2 / 3 * 0.5 / 2, rel=1e-2)
    assert terms["lip_dist"].item() == pytest.approx(2 / 3 * 0.25)


def test_losses_leave_out_padding_and_channels_without_data_and_know_the_actor() -> None:
    loss = StreamingLoss(SIZES, WEIGHTS, [face(), face(2.0)])
    target = torch.randn(2, 4, 10)
    predicted = target.clone()
    predicted[0, 2:] += 1.0
    predicted[..., 2:] += 1.0
    valid = torch.ones(2, 10, dtype=torch.bool)
    valid[:, 2:] = False
    assert loss(predicted, target, (0, 0), torch.tensor([2, 4]), valid).total.item() == pytest.approx(0, abs=1e-6)
    raised = target.clone()
    raised[..., 0] += 0.5
    own, other = (loss(raised, target, actors).terms["lip_dist"].item() for actors in ((0, 0), (1, 1)))
    assert other == pytest.approx(4 * own)
    assert loss(raised, target, (0, 1)).terms["lip_dist"].item() == pytest.approx((own + other) / 2)
