"""The check uses what tests of networks and training have made for themselves."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("networks", "training")]
