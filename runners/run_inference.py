"""Animates recordings with a deployed model; the host script run_inference.py starts it.

A finished animation needs no torch. The network's own output, for whoever compares with the reference framework, does:
see `raw_inference`.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audio2face.console import LOGGER, start_logging
from audio2face.errors import UserError, check_file_stem
from audio2face.inference.animate import AnimationPipeline
from audio2face.outputs import default_formats, write_outputs
from audio2face.player.page import LABELS
from audio2face.runs import RunFolder, record, say_where
from runners.common import open_configuration, run_stage
from runners.inference_order import InferenceOptions
from runners.second_take import ComparisonSource
from tools import arguments

if TYPE_CHECKING:
    from runners.raw_inference import RawAnimator

_MOST_NAMED = 6  # results that the last lines list


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    args = arguments.parse("inference", argv)
    start_logging()
    configuration = open_configuration("inference", args.config_name, args.config_file) if args.config_name else None
    order = InferenceOptions(args, configuration)
    recordings = order.recordings()
    # Everything is opened before anything is written: a mistake shows at once.
    performer = None if args.raw_only else order.performer()
    second = None if performer is None else _second_take(order, performer)
    animator = _open_animator(order) if order.wants_raw else None
    takes = [] if performer is None else [performer.output_name(path) for path in recordings]
    raw = [] if animator is None else [animator.name_of(path) for path in recordings]
    for stem in [*takes, *raw]:
        check_file_stem(stem, "recording, actor and emotion")
    _refuse_equal(takes)
    _refuse_equal(raw)
    folder = _made(order.folder())
    start_logging(folder / "log.log")
    if configuration is not None:
        record(RunFolder(folder), configuration)
    opened: list[Path] = []  # the first form of each animation
    for number, path in enumerate(recordings):
        if performer is not None:
            opened += _finish(order, performer, path, folder / takes[number], second)[:1]
        if animator is not None:
            _write_raw(animator, path, folder)
    results = {f"{path.stem}:": path for path in opened[:_MOST_NAMED]}
    say_where({"animation:": folder} | results, _next_steps(argv, order, opened, performer, animator))
    return 0


def _second_take(order: InferenceOptions, performer: AnimationPipeline) -> ComparisonSource | None:
    wanted = order.args.compare_with
    return None if wanted is None else ComparisonSource.parse(wanted, performer, order.configuration)


def _open_animator(order: InferenceOptions) -> RawAnimator:
    """What writes the network's own output; loads torch."""
    assert order.configuration is not None  # the parser refuses such options without one
    try:
        from runners.raw_inference import open_animator
    except ImportError as error:
        raise UserError(
            f"the network's own output needs PyTorch, which cannot be loaded: {error}",
            hint="Leave out --mode, --output, --compare, --condition and --raw-only, and INFERENCE_MODE.",
        ) from error
    return open_animator(order.configuration, order.args.training_run_name_full, order.args)


def _write_raw(animator: RawAnimator, path: Path, folder: Path) -> None:
    from runners.raw_inference import animate_raw

    animate_raw(animator, path, folder)


def _finish(
    order: InferenceOptions, performer: AnimationPipeline, path: Path, folder: Path, second: ComparisonSource | None
) -> list[Path]:
    """Animates a recording and writes its forms; returns the files to open."""
    LOGGER.info("%s: %s speaks, %s", path.name, performer.actor.name, performer.emotion.label)
    animation = performer.animate(path, folder.parent)
    compare = None if second is None else second.animate(path, folder.parent)
    formats = order.args.format or default_formats(animation)
    labels = LABELS if second is None else (performer.model.folder.resolve().name, second.label)
    opened = write_outputs(animation, folder, folder.name, formats, compare, labels)
    LOGGER.info("wrote %s: %s", folder.name, ", ".join(file.name for file in opened))
    return opened


def _refuse_equal(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(
            f"two recordings would be written as {twice[0]!r}",
            hint="Animate them one after the other into different folders (--to), or rename one.",
        )


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be made: {error.strerror}", path=folder) from error
    return folder


def _next_steps(
    argv: Sequence[str],
    order: InferenceOptions,
    opened: Sequence[Path],
    performer: AnimationPipeline | None,
    animator: RawAnimator | None,
) -> list[str]:
    again = _command(argv)
    steps = [f"open {path.name} in a browser" for path in opened if path.suffix == ".html"][:1]
    if performer is not None and order.args.format is None:
        forms = [form for form in arguments.FORMATS if form != "arkit" or "skin" in performer.solved_parts]
        steps.append(f"{again} --format {' '.join(forms)}    # all forms of the animation")
    if animator is not None:
        from runners.raw_inference import next_steps

        steps += next_steps(animator, again)
    return steps


def _command(argv: Sequence[str]) -> str:
    """The command that was typed, without what the launcher added."""
    words = list(argv)
    if "--config-file" in words:
        at = words.index("--config-file")
        del words[at : at + 2]
    return shlex.join(["python", "run_inference.py", *words])


if __name__ == "__main__":
    run_stage(main, "Run the same command again; files that are listed are whole.")
