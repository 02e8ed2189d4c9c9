"""Preprocessing under a debugger: put your names below, then start "Debug Preprocessing" in VSCode.

Arguments, as of run_preproc.py, stand for all of them; a variable such as A2F_CONFIG_NAME stands for one.
"""

from __future__ import annotations

from types import SimpleNamespace

from audio2face.cli.process import debug_stage
from audio2face.cli.stages import preproc

args = SimpleNamespace(
    actor_name="claire",  # an actor of the configuration
    config_name="example-diffusion",  # a folder in configs/
)

if __name__ == "__main__":
    debug_stage(preproc, args, order=["config_name", "actor_name"])
