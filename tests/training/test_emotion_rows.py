"""The table of implicit emotions: its rows, and the default row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio2face.errors import UserError
from audio2face.io.atomic import write_npz
from audio2face.model_folder.npz import open_archive
from audio2face.model_folder.regression import EmotionDatabase
from audio2face.model_folder.validation import Diagnostics
from audio2face.training.data.clips import TrainingClip, TrainingShot
from audio2face.training.data.sequences import check_source, emotion_database, num_rows

ONE = TrainingShot("one", "ann", "one", 10, 30.0, "joy", 0)
TWO = TrainingShot("two", "ann", "two", 6, 30.0, "joy", 10)
MUTED = TrainingShot("muted_one_3", "ann", "one", 4, 30.0, "joy", 16, 3)
SHOTS = (ONE, TWO, MUTED)
ROWS = np.arange(40, dtype=np.float32).reshape(20, 2)


def clip(shot: TrainingShot, first: int, last: int) -> TrainingClip:
    return TrainingClip(shot, first, last, "ann", "en", None)


CLIPS = (clip(ONE, 2, 4), clip(ONE, 4, 6), clip(ONE, 9, 9), clip(MUTED, 0, 3))


def test_every_frame_of_every_shot_has_a_row() -> None:
    assert num_rows(SHOTS) == 20
    database = emotion_database(ROWS, SHOTS, CLIPS, CLIPS, compact=False)
    assert (database.names, database.starts, database.sizes) == (("one", "two", "muted_one_3"), (0, 10, 16), (10, 6, 4))
    trained = [2, 3, 4, 5, 6, 9, 16, 17, 18, 19]
    assert np.array_equal(database.rows[trained], ROWS[trained])
    rest = sorted(set(range(20)) - set(trained))
    np.testing.assert_allclose(
        database.rows[rest], np.tile(ROWS[trained].mean(0), (len(rest), 1))
    )  # the mean, instead of the random initial values


def test_compact_tables_renumber_the_frames_of_clips() -> None:
    database = emotion_database(ROWS, SHOTS, CLIPS, CLIPS, compact=True)
    assert (database.names, database.starts, database.sizes) == (("one", "muted_one_3"), (0, 6), (6, 4))
    assert np.array_equal(database.rows, ROWS[[2, 3, 4, 5, 6, 9, 16, 17, 18, 19]])


def test_the_file_is_read_back(tmp_path: Path) -> None:
    database = emotion_database(ROWS, SHOTS, CLIPS, CLIPS, compact=False)
    path = tmp_path / "implicit_emo_db.npz"
    write_npz(path, database.as_arrays())
    faults = Diagnostics().for_file(path.name)
    read = EmotionDatabase.read(open_archive(path, faults), 2, faults)
    assert read is not None
    assert (read.names, read.starts, read.sizes) == (database.names, database.starts, database.sizes)
    assert np.array_equal(read.rows, database.rows)


def config(shot: str | None, frame: int | None) -> Any:
    return {"source_shot": shot, "source_frame": frame}


def test_a_missing_row_is_refused() -> None:
    check_source(config("one", 9), SHOTS, CLIPS, compact=False)
    check_source(config(None, None), SHOTS, CLIPS, compact=False)
    with pytest.raises(UserError, match="'tow', which is not a shot of this training; did you mean 'two'"):
        check_source(config("tow", 0), SHOTS, CLIPS, compact=False)
    with pytest.raises(UserError, match="source_frame'] is 10, and shot 'one' has 10 frames"):
        check_source(config("one", 10), SHOTS, CLIPS, compact=False)
    with pytest.raises(UserError, match="has 6 frames, without those that COMPACTIFY"):
        check_source(config("one", 6), SHOTS, CLIPS, compact=True)
    with pytest.raises(UserError, match="not a shot of this training"):
        check_source(config("two", 0), SHOTS, CLIPS, compact=True)


def test_the_default_row_is_the_most_usual_one() -> None:
    rows = np.array([[9.0], [1.2], [7.0], [1.0], [-8.0], [1.4]], np.float32)
    database = EmotionDatabase(("a", "b"), (0, 3), (3, 3), rows)
    assert database.source("b", 2) == ("b", 2)
    assert database.source(None, None) == database.source(None, 0) == ("b", 2)  # the mean is 1.93
    assert database.source("a", None) == ("a", 1)
