"""Starts `audio2face.cli.evaluate` in the prepared environment; the host script run_evaluate.py runs it."""

from __future__ import annotations

from audio2face.cli import evaluate
from audio2face.cli.process import run_stage

if __name__ == "__main__":
    run_stage(evaluate.main, evaluate.RESUME_HINT)
