"""The parser of a command: mistakes are one line that says what to type, and an option is given once.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from audio2face.command_names import as_typed
from audio2face.log_settings import add_log_options

_UNKNOWN = "unrecognized arguments: "
_CHOICE = re.compile(r"argument (?P<argument>[^:]+): invalid choice: '?(?P<given>.*?)'? \(choose from (?P<known>.*)\)")
_REQUIRED = "the following arguments are required: "


class _StoreOnce(argparse.Action):
    """Stores a value; an option that is given twice is an error, because only one of the two would count."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if option_string is not None and isinstance(parser, CommandParser):
            if self.dest in parser.given:
                parser.error(f"{option_string} is given twice; give it once")
            parser.given.add(self.dest)
        setattr(namespace, self.dest, values)


class CommandParser(argparse.ArgumentParser):
    """A parser with the options of logging.

    Args:
        has_log_options: whether it has them; pytest has its own.
        options: of `argparse.ArgumentParser`.
    """

    def __init__(self, has_log_options: bool = True, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})
        self.given: set[str] = set()
        for name in (None, "store"):
            self.register("action", name, _StoreOnce)
        if has_log_options:
            add_log_options(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.given.clear()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {self._explained(message)}", file=sys.stderr)
        sys.exit(2)

    def _explained(self, message: str) -> str:
        """The message with what to type instead."""
        if message.startswith(_UNKNOWN):
            return self._unknown(message[len(_UNKNOWN) :].split()[0])
        choice = _CHOICE.fullmatch(message)
        if choice is not None:
            known = re.findall(r"[^\s',]+", choice["known"])
            said = f"{choice['argument']}: there is no {choice['given']!a}"
            return f"{said}{_meant(choice['given'], known)} There are: {', '.join(known)}"
        if message.startswith(_REQUIRED):
            return f"{message[len(_REQUIRED) :].split(', ')[0]} is missing; type: {self._call()}"
        return f"{message}; {self.prog} --help explains the arguments"

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"{word!a} is one argument too many; type: {self._call()}"
        option = word.partition("=")[0]
        others = [name for name, parser in _all_parsers().items() if option in parser.option_names()]
        meant = f"; {', '.join(others)} {'has' if len(others) == 1 else 'have'} it." if others else None
        meant = meant or _meant(option, self.option_names())
        return f"there is no option {option} here{meant} {self.prog} --help lists the options"

    def option_names(self) -> list[str]:
        """The long options, without hidden ones."""
        shown = [action for action in self._actions if action.help is not argparse.SUPPRESS]
        return [name for action in shown for name in action.option_strings if name.startswith("--")]

    def _call(self) -> str:
        """The first example."""
        lines = (self.epilog or "").splitlines()
        return lines[1].strip() if len(lines) > 1 else f"{self.prog} --help"


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else "."


def _all_parsers() -> dict[str, CommandParser]:
    """The parsers of all other commands, by what is typed."""
    from audio2face.cli import parsers

    found: dict[str, CommandParser] = {}
    table: dict[str, Callable[[], argparse.ArgumentParser]] = parsers.PARSERS
    for stage, new in table.items():
        parser = new()
        if stage != "tests" and isinstance(parser, CommandParser):
            found[as_typed(parser.prog)] = parser
    return found
