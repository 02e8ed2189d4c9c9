"""What tests of preprocessing call the reference's small actor, and what configures it."""

from __future__ import annotations

from collections.abc import Callable

from audio2face.config import Configuration

ACTOR = "ann"
Configure = Callable[..., Configuration]
