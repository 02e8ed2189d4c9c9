"""How much a process logs, and in which form: taken from the command line, handed to child processes by variables.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import logging
import os
from typing import Any

LEVEL_VARIABLE = "A2F_LOG_LEVEL"
FORMAT_VARIABLE = "A2F_LOG_FORMAT"
_JSON = "json"
_NAMES = ("verbose", "quiet", "log_json")
# What may stand before a command as well.
OPTIONS = ("-v", "--verbose", "-q", "--quiet", "--log-json")


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of logging, which every command has."""
    # Without defaults: those of a subcommand would replace what stands before it.
    flag: dict[str, Any] = {"action": "store_true", "default": argparse.SUPPRESS}
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument("-v", "--verbose", help="log details too", **flag)
    levels.add_argument("-q", "--quiet", help="log warnings and errors only", **flag)
    parser.add_argument("--log-json", help="log one JSON object a line to standard output", **flag)


def apply(args: argparse.Namespace) -> None:
    """Applies the options of logging to this process and its children, and takes them out of the arguments."""
    given = {name: vars(args).pop(name, False) for name in _NAMES}
    if given["verbose"] or given["quiet"]:
        os.environ[LEVEL_VARIABLE] = "DEBUG" if given["verbose"] else "WARNING"
    if given["log_json"]:
        os.environ[FORMAT_VARIABLE] = _JSON


def level() -> int:
    """The lowest level that is shown."""
    return {"DEBUG": logging.DEBUG, "WARNING": logging.WARNING}.get(os.environ.get(LEVEL_VARIABLE, ""), logging.INFO)


def is_json() -> bool:
    """Whether standard output holds one JSON object a line."""
    return os.environ.get(FORMAT_VARIABLE) == _JSON
