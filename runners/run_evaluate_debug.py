"""Evaluation under a debugger: put your names below, then start "Debug Evaluation" in VSCode.

Arguments, as of run_evaluate.py, stand for all of them; a variable such as A2F_CONFIG_NAME stands for one.
"""

from __future__ import annotations

from types import SimpleNamespace

from audio2face.cli import evaluate
from audio2face.cli.process import debug_stage

args = SimpleNamespace(
    training_run_name_full="XXXXXX_XXXXXX_XXX",  # a folder in workspace/output_train/
    config_name="example-diffusion",  # a folder in configs/
)

if __name__ == "__main__":
    debug_stage(evaluate.main, args, order=["config_name", "training_run_name_full"])
