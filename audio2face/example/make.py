"""Creates the example dataset: runs all recordings, and writes geometry, poses, vertex lists and blend shapes.

The layout is that of a raw dataset, the blend-shape files are in the SDK's form.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.console import track
from audio2face.dataset.arkit_names import ARKIT_NAMES, TONGUE_NAMES
from audio2face.dataset.layout import (
    EYE_ARCHIVE,
    JAW_ARCHIVE,
    ActorGeometry,
    ShapeSet,
    TongueGeometry,
    write_actor_geometry,
)
from audio2face.errors import UserError
from audio2face.example.gaze import BLINK_KEYS, saccade_table
from audio2face.example.head import IDENTITIES, Head
from audio2face.example.recording import UNSEEN_FOLDER, JawMotion, all_takes, write_recording
from audio2face.io.atomic import write_json, write_npz, write_text
from audio2face.io.processes import run_jobs

_SACCADE_SEED = 5000
_RIG_VERSION = "example-1"


_README = """\
# {actor}, an example actor

Made by `python -m audio2face.example`; the same on every run. Not a recording of a person: head, voice and
motion are synthetic. Lengths are centimetres (+y up, +z out of the face), angles degrees, animation 30 fps; frame i
shows the time (i + 0.5) / 30 s.

- `audio/` WAV, 16 bit, at several sample rates on purpose; `cache/` animation, the formats taking turns.
- `geom/` neutral poses, faces, vertex lists; `geom/extra_parts.npz` teeth and eyes for drawing.
- `xform/` jaw key points, eye rotations, blink, saccades; `bs_data/` blend shapes.
- `phonemes/` exact times of every phone (seconds, IPA).
- `unseen/` two sentences in the same layout that belong in no training set: judge a trained network on them. They are
  the same two for every actor, phones at the same times.

The emotion is part of a shot's name: neutral, joy, anger, sadness or amazement.

## Licences
- Head: MakeHuman base mesh (MakeHuman community) and Face Units (Mika Suominen), both CC0 1.0.
- Voice: hibari-tts 0.2.1, Apache-2.0. The second voice is the first, shifted with Signalsmith Stretch (MIT).
- Sentences and motion: part of this project, Apache-2.0.
"""


def write_actor_files(folder: Path, head: Head) -> None:
    """Writes all files of an actor except those of the shots.

    Args:
        folder: folder of the actor.
        head: the actor's head.

    Raises:
        UserError: a file cannot be written.
    """
    write_actor_geometry(folder, _geometry(head))
    write_text(folder / "README.md", _README.format(actor=head.identity))


def _geometry(head: Head) -> ActorGeometry:
    return ActorGeometry(
        neutral=head.skin_part.vertices,
        faces=head.skin_part.faces,
        lip_open=head.lip_open_delta,
        eye_close=head.eye_close_delta,
        lists=head.lists,
        tongue=TongueGeometry(
            neutral=head.tongue_part.vertices,
            faces=head.tongue_part.faces,
            shapes=ShapeSet(names=TONGUE_NAMES, deltas=head.tongue_shapes, sparsity=1.0, version=_RIG_VERSION),
        ),
        jaw_keypoints=head.jaw_keypoints,
        blink_keys=np.array(BLINK_KEYS, np.float32),
        saccades=saccade_table(np.random.default_rng(_SACCADE_SEED)),
        parts=head.extra_parts(),
        shapes=ShapeSet(names=ARKIT_NAMES, deltas=head.skin_shapes, frontal=head.frontal_mask, version=_RIG_VERSION),
    )


STAMP_FILE = "example_dataset.json"

_MAX_PROCESSES = 4  # each holds a voice model and a sentence; more gain little on 46 sentences
_PARTS = ("audio", "cache", "geom", "xform", "bs_data", "phonemes", UNSEEN_FOLDER, "README.md")


def make_example(root: Path, *, actors: Sequence[str] = IDENTITIES, progress: bool = True) -> list[Path]:
    """Creates the example dataset, unless it is complete already.

    The dataset is identical on every run. An unfinished or older example in a folder is removed and created anew.

    Args:
        root: folder of all actors.
        actors: actors to create, of `ada` and `ben`.
        progress: whether to show a progress bar.

    Returns:
        The actors' folders.

    Raises:
        UserError: an actor is unknown, a folder holds other files, or a file cannot be written.
    """
    for actor in actors:
        if actor not in IDENTITIES:
            raise UserError(f"there is no example actor {actor!r}", hint=f"Choose from {', '.join(IDENTITIES)}.")
    folders = {actor: Path(root) / actor for actor in actors}
    missing = {actor: folder for actor, folder in folders.items() if not is_complete(folder)}
    for actor, folder in missing.items():
        _prepare_folder(folder)
        write_actor_files(folder, Head.open(actor))
    jobs = [(take, actor) for take in all_takes() for actor in missing if take.is_spoken_by(actor)]
    if jobs:
        motions = run_jobs(write_recording, [(take, actor, folders[actor]) for take, actor in jobs], _MAX_PROCESSES)
        done = list(track(motions, len(jobs), "creating the example dataset") if progress else motions)
        for actor, folder in missing.items():
            _write_motions(folder, [motion for motion in done if motion.actor == actor])
            _finish(folder)
    return list(folders.values())


def is_complete(folder: Path) -> bool:
    """Returns whether the folder holds a finished example of this code, with every file of the recorded size."""
    stamp = _read_stamp(folder)
    return bool(
        stamp is not None
        and stamp.get("source") == _source_digest()
        and stamp.get("complete") is True
        and stamp.get("files") == _sizes(folder)
    )


def _write_motions(folder: Path, motions: Iterable[JawMotion]) -> None:
    ordered = sorted(motions, key=lambda motion: motion.shot)
    for unseen, place in ((False, folder), (True, folder / UNSEEN_FOLDER)):
        shots = [motion for motion in ordered if motion.unseen is unseen]
        write_npz(place / JAW_ARCHIVE, {motion.shot: motion.jaw_deltas for motion in shots})
        write_npz(place / EYE_ARCHIVE, {motion.shot: motion.eye_rotations for motion in shots})


def _prepare_folder(folder: Path) -> None:
    """Removes an earlier example from a folder and marks it as unfinished; refuses other folders."""
    if folder.exists() and _read_stamp(folder) is None and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            "exists already and is not an example dataset",
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
    """Returns the SHA-256 of this package: a dataset of other code is created anew."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for file in sorted([*package.glob("*.py"), *package.glob("*.npz")]):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    """Reads the stamp; None if there is none."""
    try:
        stamp = json.loads((folder / STAMP_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def _sizes(folder: Path) -> dict[str, int]:
    """Returns the size in bytes of each of the example's files, by path relative to the folder."""
    parts = [folder / name for name in _PARTS]
    files = [file for part in parts for file in ([part] if part.is_file() else part.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(files)}
