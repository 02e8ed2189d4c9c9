"""Starts `audio2face.cli.animate` in the prepared environment; the host script run_inference.py runs it."""

from __future__ import annotations

from audio2face.cli import animate
from audio2face.cli.process import run_stage

if __name__ == "__main__":
    run_stage(animate.main, animate.RESUME_HINT)
