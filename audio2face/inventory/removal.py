"""Removes runs and checkpoints: nothing that another run needs, nothing that is in use, and whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from audio2face.errors import UserError
from audio2face.inventory.entry import CHECKPOINTS, Run, size_on_disk
from audio2face.inventory.scan import Inventory
from audio2face.io.claims import exclusive_or_fail
from audio2face.runs import LOCK_FILE

_REMOVED = ".removed.tmp"  # the end of a hidden name: what has it is no run any more


@dataclass(frozen=True)
class Removal:
    """What is removed of one run.

    Attributes:
        run: the run.
        paths: the run folder, or folders inside of it.
        size: bytes on the disk.
        notes: what the user should know, each a sentence.
    """

    run: Run
    paths: tuple[Path, ...]
    size: int
    notes: tuple[str, ...] = ()

    def carry_out(self) -> None:
        """Removes the paths: each is hidden by renaming first, so that no half removed run is taken for a whole one.

        Raises:
            UserError: a process uses the run, or its folder cannot be changed.
        """
        for path in self.run.path.parent.glob(f".*{_REMOVED}"):  # of a removal that was killed
            with suppress(OSError):
                _erase(path)
        try:
            with ExitStack() as stack:
                if self.run.stage in ("preproc", "train") and self.run.path.is_dir():
                    lock = self.run.path / LOCK_FILE
                    if not stack.enter_context(exclusive_or_fail(lock)):
                        raise _in_use(self.run)
                hidden = [_hide(path) for path in self.paths]
            for path in hidden:
                _erase(path)
        except OSError as error:
            raise UserError(
                f"could not be removed: {error.strerror or error}", path=self.run.path, hint="Check its permissions."
            ) from error


def plan_removal(inventory: Inventory, runs: Sequence[Run]) -> list[Removal]:
    """Checks that runs may be removed.

    Raises:
        UserError: one is running, or a run that is not among them needs one of them.
    """
    for run in runs:
        if run.status == "running":
            raise _in_use(run)
        needed = [other for other in inventory.needed_by(run) if other not in runs]
        if needed:
            listed = "".join(f"\n    {other.stage} {other.name}" for other in needed)
            every = dict.fromkeys([*runs, *needed])
            names = " ".join(dict.fromkeys(each.name for each in every))
            stages = " ".join(dict.fromkeys(f"--stage {each.stage}" for each in every))
            raise UserError(
                f"is needed to resume or to deploy {len(needed)} other run{'s' if len(needed) > 1 else ''}:{listed}",
                path=run.path,
                hint=f"To remove them as well: audio2face runs rm {names} {stages}",
            )
    return [Removal(run, (run.path,), run.size, _notes(inventory, run, runs)) for run in runs]


def plan_checkpoints(runs: Sequence[Run]) -> list[Removal]:
    """Plans to free the checkpoints of trainings but the best and the last, and what interrupted writing left.

    Raises:
        UserError: a run is no training, or is running.
    """
    removals = []
    for run in runs:
        if run.stage != "train":
            raise UserError("is no training run and has no checkpoints", path=run.path)
        if run.status == "running":
            raise _in_use(run)
        spare = [step for step in run.checkpoints if step not in run.kept_checkpoints]
        paths = (*spare, *(run.path / CHECKPOINTS).glob(".*.tmp"))
        removals.append(Removal(run, paths, sum(map(size_on_disk, paths))))
    return removals


def _notes(inventory: Inventory, run: Run, runs: Sequence[Run]) -> tuple[str, ...]:
    kept = [other for other in inventory.used_by(run) if other not in runs and other.stage in ("deploy", "inference")]
    if run.stage == "train" and kept:
        return ("its deployed model stays and animates; it cannot be deployed again",)
    if run.stage == "train" and run.status == "done":
        return ("it is not deployed: its weights are lost",)
    if run.stage == "deploy" and not inventory.made_from(run):
        return ("its training run is gone: it cannot be deployed again",)
    return ()


def _in_use(run: Run) -> UserError:
    return UserError("is running", path=run.path, hint="Stop it first (Ctrl-C where it runs), or wait for its end.")


def _hide(path: Path) -> Path:
    hidden = path.with_name(f".{path.name.removeprefix('.')}{_REMOVED}")
    if hidden != path:
        path.rename(hidden)
    return hidden


def _erase(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
