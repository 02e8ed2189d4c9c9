"""Makes the example dataset: one folder per actor in the layout of a raw dataset, complete or marked as unfinished.

Knows when a dataset is whole and how to spread the work over processes; what stands in the files is the business of
`recording` and `actor_files`.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from audio2face.console import track
from audio2face.dataset.example.actor_files import write_actor_files
from audio2face.dataset.example.head import IDENTITIES, Head
from audio2face.dataset.example.recording import UNSEEN_FOLDER, RigidMotion, Take, all_takes, record
from audio2face.errors import UserError
from audio2face.files import write_json, write_npz

STAMP_FILE = "example_dataset.json"

_MAX_PROCESSES = 4  # a process holds a voice model and a sentence; more gain little on 46 sentences
_PARTS = ("audio", "cache", "geom", "xform", "bs_data", "phonemes", UNSEEN_FOLDER, "README.md")


def make_example(root: Path, *, actors: Sequence[str] = IDENTITIES, progress: bool = True) -> list[Path]:
    """Makes the example dataset, or leaves it alone where it is whole.

    Everything in it is the same on every run. A folder that holds an unfinished or older example is emptied of it and
    made anew.

    Args:
        root: folder of all actors.
        actors: which to make, of `ada` and `ben`.
        progress: whether to show a progress bar.

    Returns:
        The actors' folders.

    Raises:
        UserError: an actor is unknown, a folder holds something else, or a file cannot be written.
    """
    for actor in actors:
        if actor not in IDENTITIES:
            raise UserError(f"there is no example actor {actor!r}", hint=f"Choose from {', '.join(IDENTITIES)}.")
    folders = {actor: Path(root) / actor for actor in actors}
    missing = {actor: folder for actor, folder in folders.items() if not is_whole(folder)}
    for actor, folder in missing.items():
        _begin(folder)
        write_actor_files(folder, Head.open(actor))
    jobs = [(take, actor) for take in all_takes() for actor in missing if take.said_by(actor)]
    if jobs:
        motions = _record_all(jobs, folders)
        done = list(track(motions, len(jobs), "making the example dataset") if progress else motions)
        for actor, folder in missing.items():
            _write_motions(folder, [motion for motion in done if motion.actor == actor])
            _finish(folder)
    return list(folders.values())


def is_whole(folder: Path) -> bool:
    """Whether the folder holds a finished example as this code makes it, with every file in its size."""
    stamp = _read_stamp(folder)
    return bool(
        stamp is not None
        and stamp.get("source") == _source_digest()
        and stamp.get("complete") is True
        and stamp.get("files") == _sizes(folder)
    )


def _record_all(jobs: Sequence[tuple[Take, str]], folders: dict[str, Path]) -> Iterator[RigidMotion]:
    """Records every job in a few processes; yields in the order in which they finish."""
    processes = min(os.cpu_count() or 1, _MAX_PROCESSES, len(jobs))
    # Not forked: a process with threads of its own (torch, say) must not be copied.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        with _interrupts_ignored():
            tasks = [pool.submit(record, take, actor, folders[actor]) for take, actor in jobs]
        for task in as_completed(tasks):
            yield task.result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal: those started in here leave it to this one, which ends them."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may change this
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed: it would wait for ever, or write into a new start."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_motions(folder: Path, motions: Iterable[RigidMotion]) -> None:
    ordered = sorted(motions, key=lambda motion: motion.shot)
    for unseen, place in ((False, folder), (True, folder / UNSEEN_FOLDER)):
        shots = [motion for motion in ordered if motion.unseen is unseen]
        xform = place / "xform"
        write_npz(xform / "jaw_keypoints_cache_all.npz", {motion.shot: motion.jaw_deltas for motion in shots})
        write_npz(xform / "eye_rotations_all.npz", {motion.shot: motion.eye_rotations for motion in shots})


def _begin(folder: Path) -> None:
    """Empties a folder of an earlier example and marks it as unfinished; refuses one that is not ours."""
    if folder.exists() and _read_stamp(folder) is None and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            "is there already and is no example dataset",
            path=folder,
            hint="Choose another root, or move it away.",
        )
    try:
        for name in _PARTS:
            part = folder / name
            if part.is_dir() and not part.is_symlink():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"an unfinished example could not be removed: {error.strerror or error}",
            path=folder,
            hint="Remove the folder, or choose another root.",
        ) from error
    write_json(folder / STAMP_FILE, {"source": _source_digest(), "complete": False})


def _finish(folder: Path) -> None:
    write_json(folder / STAMP_FILE, {"source": _source_digest(), "complete": True, "files": _sizes(folder)})


@cache
def _source_digest() -> str:
    """SHA-256 of this package: a dataset that other code made is made anew."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for file in sorted([*package.glob("*.py"), *package.glob("*.npz")]):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    """What the stamp says; None where there is none."""
    try:
        stamp = json.loads((folder / STAMP_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def _sizes(folder: Path) -> dict[str, int]:
    """Size in bytes of each of the example's files, by path relative to the folder."""
    parts = [folder / name for name in _PARTS]
    files = [file for part in parts for file in ([part] if part.is_file() else part.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(files)}
