"""Trains a configuration with several values of some parameters: `audio2face sweep CONFIG_NAME --set NAME=V1,V2`."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from audio2face.cli import parsers
from audio2face.cli.process import run_stage
from audio2face.config import Configuration, load
from audio2face.console import LOGGER, console, start_logging
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.interrupts import set_resume_hint
from audio2face.run_names import LATEST
from audio2face.runs import log_outputs
from audio2face.training.preproc_runs import find_run
from audio2face.training.sweep import (
    PICTURE_FILE,
    TABLE_FILE,
    Axis,
    GridProposer,
    Proposer,
    Range,
    TrialResult,
    Values,
    draw_results,
    find_trial,
    parse_axis,
    ranked,
    read_result,
    terminal_table,
    trial_name,
    write_table,
)

_FOLDER = "output_sweep"


def main(argv: list[str]) -> int:
    """Returns the exit status: 1 where a trial failed; user errors raise UserError."""
    args = parsers.parse("sweep", argv)
    start_logging()
    axes = [parse_axis(argument) for argument in args.overrides]
    _refuse_repeated(axes)
    configuration = load(args.config_name, stage="train")
    proposer = _proposer(args.engine, axes, args.trials, args.seed)
    folder = _sweep_folder(configuration, [*args.overrides, args.engine, str(args.trials), str(args.seed)])
    folder.mkdir(parents=True, exist_ok=True)
    set_resume_hint("Run the same command again: finished trials are reused, others resumed.")
    results = _run(configuration, proposer, folder, args.jobs)
    write_table(results, folder / TABLE_FILE)
    files = {"Table:": folder / TABLE_FILE}
    if draw_results(results, folder / PICTURE_FILE):
        files["Picture:"] = folder / PICTURE_FILE
    console().print(terminal_table(results))
    best = ranked(results)[0]
    step = f"python run_deploy.py {configuration.name} {best.run}"
    log_outputs(files, [step] if best.run is not None else [])
    return 1 if any(result.status for result in results) else 0


def _proposer(engine: str, axes: Sequence[Axis | Range], trials: int | None, seed: int) -> Proposer:
    if engine == "optuna":
        from audio2face.training.sweep import OptunaProposer

        assert trials is not None  # the parser asks for it
        return OptunaProposer(axes, trials, seed)
    interval = next((axis for axis in axes if isinstance(axis, Range)), None)
    if interval is not None:
        raise UserError(
            f"{interval.name} is an interval, and a grid needs values",
            hint="Use --engine optuna --trials N, or list the values: 1e-4,3e-4,1e-3.",
        )
    return GridProposer([axis for axis in axes if isinstance(axis, Axis)], trials, seed)


def _refuse_repeated(axes: Sequence[Axis | Range]) -> None:
    names = [axis.name for axis in axes]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise UserError(f"--set {repeated} is given twice", hint=f"Give all values at once: --set {repeated}=A,B.")
    if "RUN_NAME" in names:
        raise UserError("--set RUN_NAME: a sweep names its runs itself", hint="Set RUN_NAME in config_train.py.")


def _sweep_folder(configuration: Configuration, words: Sequence[str]) -> Path:
    digest = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:8]
    return configuration.roots.workspace / _FOLDER / f"{configuration.name}-{digest}"


def _run(configuration: Configuration, proposer: Proposer, folder: Path, jobs: int) -> list[TrialResult]:
    """Runs the trials, as many at a time as there are jobs."""
    results: list[TrialResult] = []
    runner = TrialRunner(configuration, folder, show=jobs == 1)
    while values := proposer.propose(jobs):
        # All values of a round, of a grid all there are, are checked before the first of them is trained.
        trials = [(len(results) + place, each, runner.prepare(each)) for place, each in enumerate(values, 1)]
        with ThreadPoolExecutor(jobs) as pool:
            try:
                found = list(pool.map(lambda trial: runner.run(*trial), trials))
            except KeyboardInterrupt:
                runner.stop()
                raise
        for result in found:
            results.append(result)
            proposer.report(result.values, result.score)
        write_table(results, folder / TABLE_FILE)
    return results


def _outcome(result: TrialResult) -> str:
    if result.status in (130, 143):
        return "stopped"
    if result.status:
        return f"failed (status {result.status})"
    return f"{result.best_metric} {result.score:.4g}" if result.best_metric else "no validation set"


class TrialRunner:
    """Trains trials, each in a process of its own.

    Args:
        configuration: without the values of a trial.
        folder: of the sweep; output of trials goes there where several run at a time.
        show: show the output of trials instead.
    """

    def __init__(self, configuration: Configuration, folder: Path, *, show: bool) -> None:
        self._configuration = configuration
        self._folder = folder
        self._show = show
        self._processes: list[subprocess.Popen[bytes]] = []
        self._is_stopping = False

    def prepare(self, values: Values) -> str:
        """Checks the values of a trial; returns its RUN_NAME.

        Raises:
            UserError: the configuration is invalid with them.
        """
        trial = load(self._configuration.name, stage="train", overrides=values)
        return trial_name(trial, _preproc_runs(trial))

    def run(self, number: int, values: Values, name: str) -> TrialResult:
        """Trains a trial, or reuses its finished run."""
        result = self._result(number, values, name)
        LOGGER.info("trial %d: %s: %s", number, " ".join(values), _outcome(result))
        return result

    def _result(self, number: int, values: Values, name: str) -> TrialResult:
        root = self._configuration.train.TRAIN_OUTPUT_ROOT
        finished, stopped = find_trial(root, name)
        if finished is not None:
            return read_result(number, values, finished)
        command = [sys.executable, "-m", "audio2face.cli.stages", "train", self._configuration.name]
        command += [f"--set={value}" for value in (*values, f"RUN_NAME={name}")]
        command += [] if stopped is None else ["--resume", stopped.name]
        LOGGER.info("trial %d %s: %s", number, "starts" if stopped is None else "resumes", " ".join(values))
        status = self._train(command, self._folder / f"trial-{number:03d}.log")
        finished, _ = find_trial(root, name)
        if status or finished is None:
            return TrialResult(number, values, None, status=status or 1)
        return read_result(number, values, finished)

    def stop(self) -> None:
        """Lets running trials save a checkpoint and end; a second signal ends them at once."""
        self._is_stopping = True
        try:
            for process in self._processes:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
            for process in self._processes:
                process.wait()
        except KeyboardInterrupt:
            for process in self._processes:
                process.kill()
            raise

    def _train(self, command: Sequence[str], log: Path) -> int:
        if self._is_stopping:
            return 130
        # A group of its own: a Ctrl-C in a terminal reaches this process alone, which passes it on once.
        if self._show:
            process = subprocess.Popen(command, start_new_session=True)
            self._processes.append(process)
            return process.wait()
        with log.open("wb") as output:
            process = subprocess.Popen(command, start_new_session=True, stdout=output, stderr=subprocess.STDOUT)
            self._processes.append(process)
            status = process.wait()
        if status and not self._is_stopping:
            LOGGER.warning("a trial failed with status %d: %s", status, log)
        return status


def _preproc_runs(configuration: Configuration) -> dict[str, str]:
    """The preprocessing run that each actor is trained from."""
    dataset, train = configuration.dataset, configuration.train
    found = {}
    for actor in dataset.ACTOR_NAMES:
        scale = {str(channel): value for channel, value in dataset.TRANSFORM_SCALE.get(actor, {}).items()}
        run = train.PREPROC_RUN_NAME_FULL.get(actor, LATEST)
        found[actor] = find_run(ActorDataset.open(actor, dataset), scale, run, train.PREPROC_ROOT).folder.name
    return found


if __name__ == "__main__":
    run_stage(main)
