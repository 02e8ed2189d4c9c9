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

from audio2face.cli import parsers
from audio2face.cli.inference_options import ComparisonSource, InferenceOptions, name_in_full
from audio2face.cli.process import open_configuration, run_stage
from audio2face.console import LOGGER, start_logging
from audio2face.errors import UserError, check_file_stem
from audio2face.extras import install_hint
from audio2face.inference.animate import AnimationPipeline
from audio2face.outputs import check_formats, default_formats, write_outputs
from audio2face.player.page import LABELS
from audio2face.runs import RunFolder, record, say_where

if TYPE_CHECKING:
    from audio2face.training.inference.animate import RawInference

_MOST_NAMED = 6  # results that the last lines list
RESUME_HINT = "Run the same command again; files that are listed are whole."


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    args = parsers.parse("inference", argv)
    start_logging()
    configuration = None
    if args.model is None:
        run = args.training_run_name_full
        configuration = open_configuration("inference", args.config_name, args.config_file, run=run)
    name_in_full(args, configuration)
    options = InferenceOptions(args, configuration)
    check_formats(args.format or ())
    recordings = options.recordings()
    # Everything is opened before anything is written: a mistake shows at once.
    pipeline = None if args.raw_only else options.open_pipeline()
    comparison = None if pipeline is None else _open_comparison(options, pipeline)
    raw_inference = _open_raw_inference(options) if options.wants_raw else None
    names = [] if pipeline is None else [pipeline.output_name(path) for path in recordings]
    raw_names = [] if raw_inference is None else [raw_inference.output_name(path) for path in recordings]
    for stem in [*names, *raw_names]:
        check_file_stem(stem, "recording, actor and emotion")
    _refuse_equal(names)
    _refuse_equal(raw_names)
    folder = _made(options.folder())
    start_logging(folder / "log.log")
    if configuration is not None:
        record(RunFolder(folder), configuration)
    opened: list[Path] = []  # the first form of each animation
    for number, path in enumerate(recordings):
        if pipeline is not None:
            opened += _finish(options, pipeline, path, folder / names[number], comparison)[:1]
        if raw_inference is not None:
            _write_raw(raw_inference, path, folder)
    results = {f"{path.stem}:": path for path in opened[:_MOST_NAMED]}
    say_where({"animation:": folder} | results, _next_steps(argv, options, opened, pipeline, raw_inference))
    return 0


def _open_comparison(options: InferenceOptions, pipeline: AnimationPipeline) -> ComparisonSource | None:
    wanted = options.args.compare_with
    return None if wanted is None else ComparisonSource.parse(wanted, pipeline, options.configuration)


def _open_raw_inference(options: InferenceOptions) -> RawInference:
    """What writes the network's own output; loads torch."""
    assert options.configuration is not None  # the parser refuses such options without one
    try:
        from audio2face.cli.raw_inference import open_raw_inference
    except ImportError as error:
        raise UserError(
            f"the network's own output needs PyTorch, which cannot be loaded: {error}",
            hint=f"{install_hint('train')}\n  Or leave out --mode, --output, --compare, --condition and --raw-only, "
            "and INFERENCE_MODE.",
        ) from error
    return open_raw_inference(options.configuration, options.args.training_run_name_full, options.args)


def _write_raw(raw_inference: RawInference, path: Path, folder: Path) -> None:
    from audio2face.cli.raw_inference import animate_raw

    animate_raw(raw_inference, path, folder)


def _finish(
    options: InferenceOptions,
    pipeline: AnimationPipeline,
    path: Path,
    folder: Path,
    comparison: ComparisonSource | None,
) -> list[Path]:
    """Animates a recording and writes its forms; returns the files to open."""
    LOGGER.info("%s: %s speaks, %s", path.name, pipeline.actor.name, pipeline.emotion.label)
    animation = pipeline.animate(path, folder.parent)
    compare = None if comparison is None else comparison.animate(path, folder.parent)
    formats = options.args.format or default_formats(animation)
    labels = LABELS if comparison is None else (pipeline.model.folder.resolve().name, comparison.label)
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
    options: InferenceOptions,
    opened: Sequence[Path],
    pipeline: AnimationPipeline | None,
    raw_inference: RawInference | None,
) -> list[str]:
    again = _command(argv)
    steps = [f"open {path.name} in a browser" for path in opened if path.suffix == ".html"][:1]
    if pipeline is not None and options.args.format is None:
        forms = [form for form in parsers.FORMATS if form != "arkit" or "skin" in pipeline.solved_parts]
        steps.append(f"{again} --format {' '.join(forms)}    # all forms of the animation")
    if raw_inference is not None:
        from audio2face.cli.raw_inference import next_steps

        steps += next_steps(raw_inference, again)
    return steps


def _command(argv: Sequence[str]) -> str:
    """The command that was typed, without what the launcher added."""
    words = list(argv)
    if "--config-file" in words:
        at = words.index("--config-file")
        del words[at : at + 2]
    return shlex.join(["python", "run_inference.py", *words])


if __name__ == "__main__":
    run_stage(main, RESUME_HINT)
