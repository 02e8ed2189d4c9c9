"""All runs of all stages: what each holds, what was made from what, how two differ, and which may be removed.

Reads the records of run folders only, and loads neither data nor networks.
"""

from audio2face.inventory.entry import STAGES, Run, RunProgress, StageName
from audio2face.inventory.removal import Removal, plan_checkpoints, plan_removal
from audio2face.inventory.scan import Inventory, RunComparison, compare, scan

__all__ = [
    "STAGES",
    "Inventory",
    "Removal",
    "Run",
    "RunComparison",
    "RunProgress",
    "StageName",
    "compare",
    "plan_checkpoints",
    "plan_removal",
    "scan",
]
