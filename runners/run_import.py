"""Starts `audio2face.cli.import_data` in the prepared environment; the host script run_import.py runs it."""

from __future__ import annotations

from audio2face.cli import import_data
from audio2face.cli.process import run_stage

if __name__ == "__main__":
    run_stage(import_data.main, import_data.RESUME_HINT)
