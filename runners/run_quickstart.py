"""Starts `audio2face.cli.quickstart` in the prepared environment; the host script run_quickstart.py runs it."""

from __future__ import annotations

from audio2face.cli import quickstart
from audio2face.cli.process import run_stage

if __name__ == "__main__":
    run_stage(quickstart.main, quickstart.RESUME_HINT)
