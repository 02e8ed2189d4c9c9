"""Finds the run folder that preprocessing belongs into: a whole one to reuse, or a stopped one to go on with.

Knows names, status and fingerprints of run folders. Of processes that want the same folder, one gets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from audio2face.claims import exclusive, exclusive_or_fail, remove_leftovers
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.preproc.artifacts import PreprocArtifacts, read_identity
from audio2face.preproc.steps import StepStore
from audio2face.runs import RunFolder

_LOCK = ".lock"


def find_whole(root: Path, run_name: str, actor: str, fingerprint: str) -> RunFolder | None:
    """The newest finished run of the same name, actor and inputs."""
    return next((run for run in _alike(root, run_name, actor, fingerprint) if run.is_done and _is_whole(run)), None)


def find_stopped(root: Path, run_name: str, actor: str, fingerprint: str) -> RunFolder | None:
    """The newest unfinished run of the same name, actor and inputs."""
    return next((run for run in _alike(root, run_name, actor, fingerprint) if not run.is_done), None)


def drop_stale(root: Path, actor: str, keep: RunFolder | None) -> None:
    """Frees what other runs of the actor that were stopped still hold: their inputs or settings changed since."""
    for run in _runs(root):
        identity = read_identity(run.path)
        store = StepStore(run.path)
        if identity is None or identity[0] != actor or not store.folder.is_dir() or run == keep:
            continue
        with suppress(UserError), held(run):  # another process may still work in it
            store.drop()
            LOGGER.info("removed intermediate results of %s, which was never finished", run.name)


@contextmanager
def held(run: RunFolder) -> Iterator[None]:
    """Keeps other processes out of a run folder.

    Raises:
        UserError: another process works in it, or it cannot be written to.
    """
    with ExitStack() as stack:
        try:
            is_ours = stack.enter_context(exclusive_or_fail(run.path / _LOCK))
        except OSError as error:
            raise UserError(
                f"the run folder cannot be written to: {error.strerror}", path=run.path, hint="Check its permissions."
            ) from error
        if not is_ours:
            raise UserError(
                "another process is making this very run", path=run.path, hint="Wait for it, or stop it first."
            )
        yield


@contextmanager
def one_at_a_time(root: Path, run_name: str, actor: str) -> Iterator[None]:
    """Lets one process preprocess an actor for a configured name; the others wait, and find its run finished.

    Raises:
        UserError: the folder of all runs cannot be written to.
    """

    def tell() -> None:
        LOGGER.info("%s: waiting for another process that preprocesses this actor as %r", actor, run_name)

    with ExitStack() as stack:
        if not root.exists():
            stack.callback(_remove_empty, root)
        try:
            stack.enter_context(exclusive(root / f".{run_name}_{actor}{_LOCK}", tell))
        except OSError as error:
            raise UserError(f"cannot be written to: {error.strerror}", path=root, hint="Check permissions.") from error
        yield


def _remove_empty(root: Path) -> None:
    """Takes back a folder that was made for the lock alone, because the data cannot be preprocessed."""
    with suppress(OSError):
        root.rmdir()


def clear_half_written(run: RunFolder) -> None:
    """Removes the temporary files that a killed process left."""
    remove_leftovers(run.path, everywhere=True)


def _alike(root: Path, run_name: str, actor: str, fingerprint: str) -> Iterator[RunFolder]:
    for run in _runs(root):
        if run.run_name == run_name and read_identity(run.path) == (actor, fingerprint):
            yield run


def _runs(root: Path) -> list[RunFolder]:
    """All run folders, newest first."""
    if not root.is_dir():
        return []
    return [RunFolder(path) for path in sorted(root.iterdir(), reverse=True) if path.is_dir()]


def _is_whole(run: RunFolder) -> bool:
    try:
        PreprocArtifacts.open(run.path)
    except UserError:
        return False
    return True
