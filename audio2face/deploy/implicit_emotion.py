"""The implicit emotion that drives a deployed regression network: the table that training left, and a row of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from audio2face.errors import UserError
from audio2face.files import atomic_write
from audio2face.model_folder import EmotionDatabase
from audio2face.model_folder.archive import open_archive
from audio2face.model_folder.emotion_database import EMOTION_DATABASE_FILE
from audio2face.model_folder.faults import Faults

_SHOTS_LISTED = 8


def open_database(folder: Path, length: int) -> EmotionDatabase:
    """Reads the table of a training run.

    Args:
        folder: what the run holds for consumers.
        length: values of an implicit emotion.

    Raises:
        UserError: there is none, or (FileFormatError) it does not fit the network.
    """
    faults = Faults()
    archive = open_archive(folder / EMOTION_DATABASE_FILE, faults.of(EMOTION_DATABASE_FILE))
    database = None if faults.errors else EmotionDatabase.read(archive, length, faults.of(EMOTION_DATABASE_FILE))
    faults.raise_first(folder)
    assert database is not None  # it is None only where errors were noted
    return database


def copy_database(source: Path, folder: Path) -> None:
    """Copies the table from there into a deployed folder."""
    with (source / EMOTION_DATABASE_FILE).open("rb") as read, atomic_write(folder / EMOTION_DATABASE_FILE) as write:
        shutil.copyfileobj(read, write)


def choose_frame(database: EmotionDatabase, shot: str | None, frame: int | None) -> tuple[str, int]:
    """The shot and frame whose implicit emotion is used: as configured, else the most usual, see `source`.

    Args:
        database: the table.
        shot: source_shot.
        frame: source_frame.

    Raises:
        UserError: the table does not have them.
    """
    if shot is not None and shot not in database.names:
        more = ", ..." if len(database.names) > _SHOTS_LISTED else ""
        raise UserError(
            f"CONFIG['source_shot'] is {shot!r}, a shot that the network does not know",
            hint=f"It knows: {', '.join(database.names[:_SHOTS_LISTED])}{more}.",
        )
    chosen, number = database.source(shot, frame)
    if database.find(chosen, number) is None:
        size = dict(zip(database.names, database.sizes, strict=True))[chosen]
        raise UserError(
            f"CONFIG['source_frame'] is {number}, and shot {chosen!r} has {size} frames",
            hint=f"Give 0 to {size - 1}. With COMPACTIFY_IMPLICIT_EMO_DB the frames of its clips are counted.",
        )
    return chosen, number
