"""The registry of phoneme recognisers by name: PocketSphinx and Charsiu's networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from audio2face.errors import UserError
from audio2face.models.phonemes import Detector, PocketSphinx
from audio2face.models.phonemes.charsiu import SOURCES, open_charsiu
from audio2face.models.phonemes.pocketsphinx import NAME as POCKETSPHINX


@dataclass(frozen=True)
class DetectorSpec:
    """One recogniser.

    Attributes:
        language: language of the recordings.
        open: makes it from the models folder, a temperature and a device.
    """

    language: str
    open: Callable[[Path | None, float, torch.device], Detector]


def _open_sphinx(models_root: Path | None, temperature: float, device: torch.device) -> Detector:
    return PocketSphinx()


_SPECS = {POCKETSPHINX: DetectorSpec("en", _open_sphinx)} | {
    source.name: DetectorSpec(source.language, partial(open_charsiu, source)) for source in SOURCES
}


def available(language: str | None = None) -> tuple[str, ...]:
    """Lists the names of all recognisers, or of those for one language."""
    return tuple(name for name, spec in _SPECS.items() if language in (None, spec.language))


def open_detector(
    name: str,
    language: str,
    *,
    models_root: Path | None = None,
    temperature: float = 1.0,
    device: torch.device | None = None,
) -> Detector:
    """Opens a recogniser.

    Args:
        name: one of `available(language)`.
        language: language of the recordings.
        models_root: a folder that holds one folder per network, named like it; downloads are stored in its subfolder
            `hub`.
        temperature: of the softmax: above 1 flattens the probabilities, below 1 sharpens them; PocketSphinx ignores it.
        device: device of the network; None: the CPU.

    Raises:
        MissingWeightsError: its weights are missing and cannot be downloaded.
        UserError: it is unknown, is for another language, or its files are damaged.
    """
    spec = _SPECS.get(name)
    if spec is None or spec.language != language:
        choices = ", ".join(available(language)) or "none"
        raise UserError(
            f"there is no phoneme recogniser {name!r} for {language!r}",
            hint=f"PHONEME_DETECTORS: for {language!r} there is {choices}.",
        )
    return spec.open(models_root, temperature, device or torch.device("cpu"))
