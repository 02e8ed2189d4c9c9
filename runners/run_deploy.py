"""Starts `audio2face.cli.deploy` in the prepared environment; the host script run_deploy.py runs it."""

from __future__ import annotations

from audio2face.cli import deploy
from audio2face.cli.process import run_stage

if __name__ == "__main__":
    run_stage(deploy.main)
