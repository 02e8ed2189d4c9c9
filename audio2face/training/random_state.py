"""The states of all generators of random numbers that training draws from, as tensors.

These are torch's own of the processor and of the device, numpy's and python's global ones, which libraries draw from,
and those of the task.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from audio2face.console import LOGGER

_OWN = "own."


def capture(generators: Mapping[str, torch.Generator], device: torch.device) -> dict[str, Tensor]:
    """The states of all generators, each a tensor of a length that does not change."""
    states = {"torch": torch.get_rng_state(), "numpy": _numpy_state(), "python": _python_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states | {_OWN + name: generator.get_state() for name, generator in generators.items()}


def restore(states: Mapping[str, Tensor], generators: Mapping[str, torch.Generator], device: torch.device) -> None:
    """Puts all generators where `capture` found them.

    Where the states are of another kind of device, its generators stay as they are, and a warning says so.
    """
    torch.set_rng_state(states["torch"].clone())
    _set_numpy_state(states["numpy"])
    _set_python_state(states["python"])
    lacking = []
    for name, generator in generators.items():
        state = states.get(_OWN + name)
        if state is not None and state.shape == generator.get_state().shape:
            generator.set_state(state.clone())
        else:
            lacking.append(name)
    if device.type != "cpu":
        if device.type in states:
            setter = torch.cuda.set_rng_state if device.type == "cuda" else torch.mps.set_rng_state
            setter(states[device.type].clone())
        else:
            lacking.append(device.type)
    if lacking:
        LOGGER.warning("random numbers (%s) start anew: the checkpoint is of another device", ", ".join(lacking))


@contextmanager
def undisturbed(generators: Mapping[str, torch.Generator], device: torch.device) -> Iterator[None]:
    """Whatever is drawn inside, the generators stand afterwards where they stood before."""
    states = capture(generators, device)
    try:
        yield
    finally:
        restore(states, generators, device)


def _numpy_state() -> Tensor:
    _, key, position, has_gauss, gauss = np.random.get_state(legacy=True)
    bits = np.frombuffer(np.float64(gauss).tobytes(), np.uint32)
    return torch.from_numpy(np.concatenate([key, [position, has_gauss], bits]).astype(np.int64))


def _set_numpy_state(state: Tensor) -> None:
    values = state.numpy().astype(np.uint32)
    gauss = float(np.frombuffer(values[626:628].tobytes(), np.float64)[0])
    np.random.set_state(("MT19937", values[:624], int(values[624]), int(values[625]), gauss))


def _python_state() -> Tensor:
    _, words, gauss = random.getstate()
    bits = np.frombuffer(np.float64(0.0 if gauss is None else gauss).tobytes(), np.uint32)
    return torch.tensor([*words, gauss is not None, *bits.tolist()], dtype=torch.int64)


def _set_python_state(state: Tensor) -> None:
    values = state.tolist()
    gauss = float(np.frombuffer(np.array(values[626:628], np.uint32).tobytes(), np.float64)[0])
    random.setstate((3, tuple(values[:625]), gauss if values[625] else None))
