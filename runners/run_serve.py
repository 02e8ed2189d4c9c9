"""Starts `audio2face.cli.serve` in the prepared environment; the host script run_serve.py runs it."""

from __future__ import annotations

from audio2face.cli import serve
from audio2face.cli.process import run_stage

if __name__ == "__main__":
    run_stage(serve.main)
