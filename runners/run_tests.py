"""Runs pytest inside the prepared environment; started by run_tests.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from audio2face.cli import parsers


def main(argv: list[str]) -> int:
    """Returns pytest's exit status."""
    args = parsers.parse("tests", argv)
    os.chdir(Path(__file__).parents[1])  # where pytest looks for its settings
    return int(pytest.main([*(["--slow"] if args.slow else []), *args.pytest_arguments]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
