"""Training in a process of its own, which tests kill; a fork server with torch loaded makes its start fast."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from audio2face.config_base.tables import NetworkType

_CONTEXT = multiprocessing.get_context("forkserver")
_TASKS = [f"audio2face.training.{kind}" for kind in ("diffusion", "regression", "streaming")]
_CONTEXT.set_forkserver_preload([*_TASKS, "audio2face.training.run", "small_project"])


def start(
    folder: Path,
    kind: NetworkType = "diffusion",
    *,
    resume: bool = False,
    die_in_save: int | None = None,
    device: str = "cpu",
) -> ForkServerProcess:
    """Starts a training of the small project, or resumes one.

    Args:
        folder: workspace.
        kind: kind of the network.
        resume: resumes the newest run.
        die_in_save: number of the weights file, counted from 1, during whose writing the process kills itself.
        device: device of the training.
    """
    process = _CONTEXT.Process(target=_train, args=(folder, kind, resume, die_in_save, device))
    process.start()
    return process


def _train(folder: Path, kind: NetworkType, resume: bool, die_in_save: int | None, device: str) -> None:
    import torch
    from small_project import small_project

    from audio2face.cli.process import run_stage
    from audio2face.training import checkpoint
    from audio2face.training.run import NEWEST, train

    torch.set_num_threads(1)
    if die_in_save is not None:
        checkpoint.save_file = _killing_itself(checkpoint.save_file, die_in_save)  # type: ignore[attr-defined]

    def main(_: list[str]) -> int:
        configuration = small_project(folder, kind=kind, DEVICE=device)
        train(configuration, lambda run, network: None, resume=NEWEST if resume else None)
        return 0

    run_stage(main)


def _killing_itself(save: object, remaining: int) -> object:
    def save_and_die(tensors: object, path: Path) -> None:
        nonlocal remaining
        remaining -= 1
        save(tensors, path)  # type: ignore[operator]
        if remaining == 0:
            path.write_bytes(path.read_bytes()[:100])
            os.kill(os.getpid(), signal.SIGKILL)

    return save_and_die
