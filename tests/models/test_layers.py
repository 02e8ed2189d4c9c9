"""Resampling of sequences and the small blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from audio2face.models.layers import Alignment, Gru, Mish, interpolate_rows, resample_linear, select_rows


@pytest.mark.parametrize("points", [74, 30])
def test_resampling_agrees_with_the_reference(reference_data: Path, points: int) -> None:
    with np.load(reference_data / "networks" / "linear1d.npz", allow_pickle=False) as arrays:
        x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays[f"y_align{points}"])
    torch.testing.assert_close(resample_linear(x.mT, points).mT, y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_resampling_to_one_point_gives_the_first_row(rows: int) -> None:
    values = torch.randn(2, rows, 3)
    torch.testing.assert_close(resample_linear(values, 1), values[:, :1])


def test_interpolation_beyond_the_ends_returns_the_end_rows() -> None:
    values = torch.arange(8.0).reshape(2, 4, 1)
    read = interpolate_rows(values, torch.tensor([-2.5, -0.5, 0.25, 3.0, 3.5, 9.0]))
    torch.testing.assert_close(read[..., 0], torch.tensor([0, 0, 0.25, 3, 3, 3]) + torch.tensor([[0.0], [4.0]]))


@pytest.mark.parametrize("first_step", [None, 0.0125])
@pytest.mark.parametrize("fps", [60.0, 30.0, 25.0])
def test_padding_does_not_change_the_alignment(first_step: float | None, fps: float) -> None:
    alignment = Alignment(fps, first_step, 0.02)
    features = torch.randn(3, 40, 4)
    steps, frames = torch.tensor([40, 23, 1]), torch.tensor([48, 27, 1])
    padded = alignment.apply(features, 48, steps, frames)
    for item, (step, frame) in enumerate(zip(steps.tolist(), frames.tolist(), strict=True)):
        alone = alignment.apply(features[item : item + 1, :step], frame)
        assert alone.shape == (1, frame, 4 * alignment.points_per_frame)
        torch.testing.assert_close(padded[item : item + 1, :frame], alone)


def test_features_are_read_at_the_times_of_frames() -> None:
    """A feature that equals the time of its step is read back as the time of the frame."""
    times = 0.0125 + 0.02 * torch.arange(50)[None, :, None]
    frames = torch.arange(29)[:, None] / 30
    read = Alignment(30.0, 0.0125, 0.02).apply(times, 29)[0]
    torch.testing.assert_close(read[1:], torch.cat([frames, frames + 1 / 60], dim=1)[1:])


def test_mish_equals_that_of_torch() -> None:
    x = torch.linspace(-30, 30, 121)
    torch.testing.assert_close(Mish()(x), nn.functional.mish(x))


def test_select_rows_is_exact_under_mixed_precision() -> None:
    table = torch.randn(3, 5) * 20
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(select_rows(torch.eye(3)[[2, 0]], table), table[[2, 0]])


def test_gru_equals_that_of_torch() -> None:
    theirs, ours = nn.GRU(5, 4, 3, batch_first=True, dropout=0.4), Gru(5, 4, 3, 0.4)
    with torch.no_grad():
        for index, layer in enumerate(ours.layers):
            for name, weight in layer.named_parameters():
                weight.copy_(theirs.get_parameter(name.replace("_l0", f"_l{index}")))
    x, state = torch.randn(2, 7, 5), torch.randn(3, 2, 4)
    for training in (False, True):  # the dropout draws the same on a CPU
        results = []
        for gru in (theirs, ours):
            torch.manual_seed(0)
            results.append(gru.train(training)(x, state))
        torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_a_gru_stays_in_float32_under_autocast() -> None:
    gru, x = Gru(5, 4, 2, 0.0), torch.randn(2, 7, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen, state = gru(x)
    torch.testing.assert_close((seen, state), gru(x))
