"""Lists, compares and removes runs: `audio2face runs`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table

from audio2face.cli import parsers
from audio2face.cli.process import run_stage
from audio2face.config import Roots
from audio2face.console import console, start_logging
from audio2face.errors import UserError, printable
from audio2face.inventory import (
    STAGES,
    Inventory,
    Removal,
    Run,
    RunComparison,
    StageName,
    compare,
    plan_checkpoints,
    plan_removal,
    scan,
)
from audio2face.inventory.scan import WORDS

SCHEMA = 1  # of the JSON output
_ABSENT = "-"
_PIPE_WIDTH, _ANY_WIDTH = 240, 10_000
_MOST_SHOWN = 60  # characters of a value
_TITLES: dict[StageName, str] = {
    "preproc": "preprocessing",
    "train": "training",
    "deploy": "deployed models",
    "inference": "animations",
}
_SHORT = {"skin_error_mm": "skin", "lip_error_mm": "lips", "skin_pca_error_mm": "skin", "tongue_pca_error_mm": "tongue"}


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    args = parsers.parse("runs", argv)
    start_logging()
    action = {"compare": _compare, "rm": _remove}.get(args.action, _list)
    try:
        status = action(scan(Roots.from_environment()), args)
        sys.stdout.flush()
    except BrokenPipeError:  # of `| head`, which has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _list(inventory: Inventory, args: argparse.Namespace) -> int:
    stages = [stage for stage in STAGES if stage in (args.stage or STAGES)]
    if args.json:
        _print_json({"runs": [describe(inventory, run) for run in inventory.runs if run.stage in stages]})
        return 0
    tables = [(stage, found) for stage in stages if (found := inventory.of_stage(stage))]
    screen = _screen()
    for stage, found in tables:
        table = _table(inventory, stage, found)
        fits = Measurement.get(screen, screen.options.update_width(_ANY_WIDTH), table).maximum <= screen.width
        screen.print(table if fits else _entries(inventory, stage, found))
    if not tables:
        console().print(f"There are no runs yet in {printable(str(inventory.roots.workspace))}.")
    return 0


def describe(inventory: Inventory, run: Run) -> dict[str, Any]:
    """A run as JSON."""
    progress = {name: value for name, value in vars(run.progress).items() if value is not None}
    return {
        "stage": run.stage,
        "name": run.name,
        "path": str(run.path),
        "configuration": run.configuration,
        "network": run.network,
        "actors": list(run.actors),
        "data": run.data,
        "status": run.status,
        "progress": progress,
        "figures": dict(run.figures),
        "bytes": run.size,
        "made_from": [_reference(other) for other in inventory.made_from(run)],
        "used_by": [_reference(other) for other in inventory.used_by(run)],
    }


def _reference(run: Run) -> dict[str, str]:
    return {"stage": run.stage, "name": run.name}


# The columns of each stage: heading and text.
_Column = Callable[[Inventory, Run], str]
_COMMON: dict[str, _Column] = {
    "run": lambda _, run: run.name,
    "configuration": lambda _, run: run.configuration or _ABSENT,
    "actors": lambda _, run: ", ".join(run.actors) or _ABSENT,
    "data": lambda _, run: run.data or _ABSENT,
    "status": lambda _, run: run.status,
    "progress": lambda _, run: _progress(run),
    "error": lambda _, run: _errors(run),
    "held out": lambda _, run: _errors(run),
    "network": lambda _, run: run.network or _ABSENT,
    "size": lambda _, run: show_size(run.size),
    "made from": lambda inventory, run: _names(run, inventory.made_from(run)),
    "used by": lambda inventory, run: _names(run, inventory.used_by(run)),
}
_COLUMNS: dict[StageName, tuple[str, ...]] = {
    "preproc": ("run", "configuration", "actors", "data", "status", "error", "size", "used by"),
    "train": ("run", "configuration", "actors", "status", "progress", "held out", "size", "made from"),
    "deploy": ("run", "network", "actors", "size", "made from"),
    "inference": ("run", "configuration", "progress", "size", "made from"),
}


def _table(inventory: Inventory, stage: StageName, runs: Sequence[Run]) -> Table:
    table = Table(title=_TITLES[stage], title_justify="left", box=None, pad_edge=False)
    for column in _COLUMNS[stage]:
        whole = column in ("run", "size", "status")  # names are copied
        justify: Literal["left", "right"] = "right" if column == "size" else "left"
        table.add_column(column, no_wrap=whole, overflow="fold", justify=justify)
    for run in runs:
        table.add_row(*(_escaped(_COMMON[column](inventory, run)) for column in _COLUMNS[stage]))
    return table


def _entries(inventory: Inventory, stage: StageName, runs: Sequence[Run]) -> Group:
    """What the table shows, for a terminal that is too narrow for it: an entry of a few lines for each run."""
    lines: list[RenderableType] = [f"[italic]{_TITLES[stage]}[/]"]
    linked = ("made from", "used by")
    for run in runs:
        texts = {column: _escaped(_COMMON[column](inventory, run)) for column in _COLUMNS[stage]}
        facts = [text for column, text in texts.items() if column not in ("run", *linked) and text != _ABSENT]
        lines += [texts["run"], Padding(", ".join(facts), (0, 0, 0, 4))]
        lines += [
            Padding(f"{column}: " + ", ".join(texts[column].split("\n")), (0, 0, 0, 4))
            for column in linked
            if texts.get(column, _ABSENT) != _ABSENT
        ]
    return Group(*lines)


def _screen() -> Console:
    """A console as wide as the terminal; wide enough for whole lines where the output is read by a program."""
    return console() if sys.stdout.isatty() else Console(file=sys.stdout, highlight=False, width=_PIPE_WIDTH)


def _escaped(text: str) -> str:
    return printable(text).replace("[", "\\[")


def _progress(run: Run) -> str:
    progress = run.progress
    if progress.animations is not None:
        return "1 animation" if progress.animations == 1 else f"{progress.animations} animations"
    if progress.epoch is None:
        return _ABSENT
    of = "" if progress.epochs is None else f" of {progress.epochs}"
    steps = "" if progress.step is None else f", step {progress.step}"
    return f"epoch {progress.epoch}{of}{steps}"


def _errors(run: Run) -> str:
    shown = [f"{short} {run.figures[name]:.2f}" for name, short in _SHORT.items() if name in run.figures]
    return f"{', '.join(shown)} mm" if shown else _ABSENT


def _names(run: Run, others: Sequence[Run]) -> str:
    """Other runs: by their stage where they have the same name."""
    words = [WORDS[other.stage] if other.name == run.name else other.name for other in others]
    return "\n".join(words) or _ABSENT


def show_size(size: int) -> str:
    """Bytes for people."""
    value = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _compare(inventory: Inventory, args: argparse.Namespace) -> int:
    runs = [inventory.find(name, args.stage or ["train"])[0] for name in args.names]
    if len(set(runs)) < len(runs):
        raise UserError("the names stand for the same run", hint="Give two runs at least, each once.")
    found = compare(runs)
    if args.json:
        names = [run.name for run in runs]
        _print_json({"runs": names, "parameters": found.parameters, "figures": found.figures})
        return 0
    for title, rows in (("parameters that differ", found.parameters), ("figures", found.figures)):
        _screen().print(_comparison_table(title, found, rows) if rows else f"{title}: none")
    return 0


def _comparison_table(title: str, found: RunComparison, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("", *(run.name for run in found.runs)):
        table.add_column(column, overflow="fold")
    for name, values in rows.items():
        shown = (_value(values[run.name]) if run.name in values else _ABSENT for run in found.runs)
        table.add_row(_escaped(name), *map(_escaped, shown))
    return table


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def _remove(inventory: Inventory, args: argparse.Namespace) -> int:
    stages: list[StageName] = ["train"] if args.checkpoints else args.stage or []
    runs = list(dict.fromkeys(run for name in args.names for run in _named(inventory, name, stages)))
    planned = plan_checkpoints(runs) if args.checkpoints else plan_removal(inventory, runs)
    removals = [removal for removal in planned if removal.paths]
    total = sum(removal.size for removal in removals)
    if not args.json:
        _show(removals, total, checkpoints=args.checkpoints)
    if removals and not args.dry_run:
        if not args.yes and not _agreed():
            return 1
        for removal in removals:
            removal.carry_out()
    if args.json:
        removed = [{**_reference(removal.run), "bytes": removal.size} for removal in removals]
        _print_json({"dry_run": args.dry_run, "removed": removed, "bytes": total})
    elif removals:
        console().print(f"{show_size(total)} {'would be' if args.dry_run else 'are'} freed.")
    return 0


def _named(inventory: Inventory, name: str, stages: Sequence[StageName]) -> list[Run]:
    """The runs of a name; of several stages only where these were asked for."""
    found = inventory.find(name, stages)
    if len(found) > 1 and not stages:
        options = [f"--stage {run.stage}" for run in found]
        raise UserError(
            f"{found[0].name!r} is a run of {len(found)} stages",
            hint=f"Say which: {' or '.join(options)}; all of them: {' '.join(options)}",
        )
    return found


def _show(removals: Sequence[Removal], total: int, *, checkpoints: bool) -> None:
    if not removals:
        console().print("Nothing can be freed: only the best and the last checkpoint are there.")
        return
    table = Table(title="to be removed", title_justify="left", box=None, pad_edge=False, show_header=False)
    for removal in removals:
        what = ", ".join(path.name for path in removal.paths) if checkpoints else "; ".join(removal.notes)
        table.add_row(removal.run.stage, removal.run.name, show_size(removal.size), _escaped(what))
    table.add_row("", "", show_size(total), "together") if len(removals) > 1 else None
    console().print(table)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UserError("removing needs a yes, and there is no terminal to ask on", hint="Add --yes, or --dry-run.")
    return input("Remove? [y/N] ").strip().lower() in ("y", "yes")


def _print_json(content: Mapping[str, Any]) -> None:
    print(json.dumps({"schema": SCHEMA, **content}, indent=2))


if __name__ == "__main__":
    run_stage(main)
