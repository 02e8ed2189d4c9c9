"""The recognisers of phones by name."""

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
        language: what it listens to.
        open: makes it from the models folder, a temperature and a device.
    """

    language: str
    open: Callable[[Path | None, float, torch.device], Detector]


def _open_sphinx(models_root: Path | None, temperature: float, device: torch.device) -> Detector:
    return PocketSphinx()


_ENTRIES = {POCKETSPHINX: DetectorSpec("en", _open_sphinx)} | {
    source.name: DetectorSpec(source.language, partial(open_charsiu, source)) for source in SOURCES
}


def available(language: str | None = None) -> tuple[str, ...]:
    """The names of all recognisers, or of those for one language."""
    return tuple(name for name, entry in _ENTRIES.items() if language in (None, entry.language))


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
        language: what it is to listen to.
        models_root: a folder that holds one folder per network, named like it; downloads are kept in `hub` below it.
        temperature: of its answers: above 1 more even, below 1 more decided. One that gives no likelihoods ignores it.
        device: what it is calculated on.

    Raises:
        MissingWeightsError: its weights are not on this machine and cannot be fetched.
        UserError: it is unknown, listens to another language, or its files are damaged.
    """
    entry = _ENTRIES.get(name)
    if entry is None or entry.language != language:
        known = ", ".join(available(language)) or "none"
        raise UserError(
            f"there is no phoneme recogniser {name!r} for {language!r}",
            hint=f"PHONEME_DETECTORS: for {language!r} there is {known}.",
        )
    return entry.open(models_root, temperature, device or torch.device("cpu"))
