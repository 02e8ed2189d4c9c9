"""Starts `audio2face.cli.stages.preproc` in the prepared environment; the host script run_preproc.py runs it."""

from __future__ import annotations

from audio2face.cli.process import run_stage
from audio2face.cli.stages import preproc

if __name__ == "__main__":
    run_stage(preproc)
