"""Starts `audio2face.cli.stages.train` in the prepared environment; the host script run_train.py runs it."""

from __future__ import annotations

from audio2face.cli.process import run_stage
from audio2face.cli.stages import train

if __name__ == "__main__":
    run_stage(train)
