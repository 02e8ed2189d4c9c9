"""Finds the run folder that preprocessing belongs into: a whole one to reuse, or a stopped one to go on with.

Knows names, status and fingerprints of run folders. Of processes that want the same folder, one gets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

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
        UserError: another process works in it.
    """
    lock = FileLock(run.path / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            "another process is making this very run", path=run.path, hint="Wait for it, or stop it first."
        ) from error
    try:
        yield
    finally:
        lock.release()
        (run.path / _LOCK).unlink(missing_ok=True)


def clear_half_written(run: RunFolder) -> None:
    """Removes the temporary files that a killed process left."""
    for path in run.path.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def _alike(root: Path, run_name: str, actor: str, fingerprint: str) -> Iterator[RunFolder]:
    for run in _runs(root):
        if run.name.endswith(f"_{run_name}") and read_identity(run.path) == (actor, fingerprint):
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
