"""Updates of the weights one at a time, by the trainer that `run_train.py` uses, so that each can be timed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from audio2face.config import TrainSection
from audio2face.training.checkpoint import CheckpointStore
from audio2face.training.signals import InterruptHandler
from audio2face.training.task import Batch, Task
from audio2face.training.trainer import Trainer


class SingleUpdates:
    """A trainer that makes one update at a time.

    Args:
        fabric: devices and processes.
        task: what is trained.
        train: the training section of the configuration.
        folder: where checkpoints would go; none is written.
    """

    def __init__(self, fabric: Fabric, task: Task, train: TrainSection, folder: Path) -> None:
        self._task: Any = _UpdateAsEpoch(task, train.GRADIENT_ACCUMULATION_STEPS)
        settings = replace(train, CHECKPOINT_PERIOD_MINUTES=math.inf)
        self._trainer = Trainer(fabric, self._task, settings, CheckpointStore(folder), None, InterruptHandler())

    def __call__(self) -> int:
        """Makes one update; returns its frames."""
        before = self._task.frames
        self._trainer.progress.batch = 0
        self._trainer.train_epoch()
        frames: int = self._task.frames - before
        return frames


class _UpdateAsEpoch:
    """A task each of whose epochs has the batches of one update."""

    def __init__(self, task: Task, accumulation: int) -> None:
        self._task = task
        self._batches = _endless(task)
        self.num_batches = accumulation
        self.frames = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def batches(self, epoch: int, first_batch: int) -> Generator[Batch, None, None]:
        for batch in itertools.islice(self._batches, self.num_batches):
            self.frames += batch.num_frames
            yield batch


def _endless(task: Task) -> Iterator[Batch]:
    for epoch in itertools.count():
        yield from task.batches(epoch, 0)
