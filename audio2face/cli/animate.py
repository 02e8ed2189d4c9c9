"""Animates recordings with a deployed model; started by run_inference.py.

A finished animation needs no torch. Network output, for comparison with the reference framework, does: `raw_inference`.
Exit status: 0 all recordings are animated, 1 some could not be, 2 a user error in arguments, configuration or model, or
in the only recording.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from audio2face.audio import read_header
from audio2face.cli import parsers
from audio2face.cli.batch import BatchResult, RecordingBatch, check_outputs, count_outdated, open_pool, watch
from audio2face.cli.inference_options import InferenceOptions, name_in_full
from audio2face.cli.process import open_configuration, run_stage
from audio2face.cli.recording_animator import RecordingAnimator, create
from audio2face.cli.recordings import Recording
from audio2face.console import LOGGER, start_logging
from audio2face.outputs import check_formats
from audio2face.runs import RunFolder, log_outputs, record

_MAX_LISTED = 6  # results in the last lines
RESUME_HINT = "Run the same command again; complete animations are kept."


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("inference", argv)
    start_logging()
    configuration = None
    if args.model is None and args.rig is None:
        run = args.training_run_name_full
        configuration = open_configuration("inference", args.config_name, args.config_file, (), args.overrides, run)
    name_in_full(args, configuration)
    options = InferenceOptions(args, configuration)
    check_formats(args.format or ())
    recordings, folder = options.recordings(), options.folder()
    # Everything is opened before anything is written: errors show at once.
    animator = RecordingAnimator(options)
    check_outputs(animator, recordings)
    if options.is_single:
        return _animate_single(argv, animator, recordings[0], folder)
    result = _animate_all(animator, recordings, folder)
    result.log()
    _show_results(argv, animator, folder, result.opened)
    return result.status


def _animate_single(argv: Sequence[str], animator: RecordingAnimator, recording: Recording, folder: Path) -> int:
    """Animates one recording; its error ends the command."""
    read_header(recording.path)
    animator.output_names(recording)
    if animator.is_current(recording, folder):
        LOGGER.info("%s: unchanged, its animation is kept (--force makes it again)", recording.path.name)
        opened = []
    else:
        animator.load()
        _prepare(animator.options, folder)
        opened = animator.animate(recording, folder)[:1]
    _show_results(argv, animator, folder, opened)
    return 0


def _animate_all(animator: RecordingAnimator, recordings: Sequence[Recording], folder: Path) -> BatchResult:
    """Animates recordings, one after the other or in several processes; of --watch, those that appear too."""
    options = animator.options
    is_watched = options.args.watch is not None
    jobs = options.args.jobs if is_watched else min(options.args.jobs, count_outdated(animator, recordings, folder))
    if jobs == 1:
        animator.load()
    with open_pool(options, folder, jobs) as pool:
        _prepare(options, folder)
        batch = RecordingBatch(animator, folder, pool)
        if is_watched:
            watch(batch, options.watched_folder(), folder)
        else:
            batch.run(recordings)
        return batch.result


def _prepare(options: InferenceOptions, folder: Path) -> None:
    """Makes the output folder, with its log and the configuration."""
    create(folder)
    start_logging(folder / "log.log")
    if options.configuration is not None:
        record(RunFolder(folder), options.configuration)


def _show_results(argv: Sequence[str], animator: RecordingAnimator, folder: Path, opened: Sequence[Path]) -> None:
    results = {f"{path.stem}:": path for path in opened[:_MAX_LISTED]}
    log_outputs({"animation:": folder} | results, _next_steps(argv, animator, opened))


def _next_steps(argv: Sequence[str], animator: RecordingAnimator, opened: Sequence[Path]) -> list[str]:
    again, pipeline = _command(argv), animator.pipeline
    steps = [f"open {path.name} in a browser" for path in opened if path.suffix == ".html"][:1]
    if pipeline is not None and animator.options.args.format is None:
        formats = [key for key in parsers.FORMATS if key != "arkit" or "skin" in pipeline.weight_parts]
        steps.append(f"{again} --format {' '.join(formats)}    # all formats")
    if animator.raw_inference is not None:
        from audio2face.cli.raw_inference import next_steps

        steps += next_steps(animator.raw_inference, again)
    return steps


def _command(argv: Sequence[str]) -> str:
    """The command of the user, without arguments of the launcher."""
    words = list(argv)
    if "--config-file" in words:
        at = words.index("--config-file")
        del words[at : at + 2]
    return shlex.join(["python", "run_inference.py", *words])


if __name__ == "__main__":
    run_stage(main, RESUME_HINT)
