"""Training under a debugger: put your names below, then start "Debug Training" in VSCode.

Arguments, as of run_train.py, stand for all of them; a variable such as A2F_CONFIG_NAME stands for one.
"""

from __future__ import annotations

from types import SimpleNamespace

from audio2face.cli.process import debug_stage
from audio2face.cli.stages import train

args = SimpleNamespace(
    config_name="example-diffusion",  # a folder in configs/
)

if __name__ == "__main__":
    debug_stage(train, args, order=["config_name"])
