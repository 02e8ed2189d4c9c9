"""The checks use helpers of the tests of models and training."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("models", "training")]
