"""The scripts for Blender and Maya find what they share beside them; so do their tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools/dcc"))
