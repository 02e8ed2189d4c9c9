"""Tests of importers write films with the helper of the tests of audio."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "audio"))
