"""Starts `audio2face.cli.stages.check` in the prepared environment; the host script run_check.py runs it."""

from __future__ import annotations

from audio2face.cli.process import run_stage
from audio2face.cli.stages import check

if __name__ == "__main__":
    run_stage(check)
