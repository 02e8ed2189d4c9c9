"""Takes of Live Link Face: what is read of real habits of the app, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from live_link_takes import Rows, babble, changed, write_take

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.errors import UserError
from audio2face.importers.kinds import Importer, ImportOptions, new_importer
from audio2face.importers.take import Take


def read_all(*sources: Path, audio: Path | None = None, emotion: str | None = None) -> dict[str, Take]:
    importer: Importer = new_importer("livelink", ImportOptions(audio=audio, emotion=emotion))
    return {row.name: importer.read(row.name) for row in importer.inspect(sources)}


def read_one(*sources: Path) -> Take:
    (take,) = read_all(*sources).values()
    return take


@pytest.mark.parametrize("fps", [23.976, 30.0, 60.0, 120.0])
def test_a_take_comes_back_as_it_was(tmp_path: Path, fps: float) -> None:
    spoken = babble(2.0, fps)
    take = read_one(write_take(tmp_path, "slate_joy_1", spoken, fps))
    assert abs(float(take.fps) / fps - 1) < 1e-5
    np.testing.assert_allclose(take.weights, spoken.weights, atol=1e-6)
    np.testing.assert_allclose(take.eyes, spoken.eyes, atol=1e-4)
    assert take.emotion == "joy"
    assert take.audio == tmp_path / "slate_joy_1.wav"
    assert take.head is None  # the columns are 0: the option is off in the app
    assert not take.lost.any()


def test_columns_are_read_by_name_in_both_orders_and_spellings(tmp_path: Path) -> None:
    table = write_take(tmp_path, "a", babble(1.0))

    def other(rows: Rows) -> Rows:
        order = list(range(len(rows[0])))
        left, right = rows[0].index("JawLeft"), rows[0].index("JawRight")
        order[left], order[right] = right, left
        renamed = [name.replace("BlendShapeCount", "BlendshapeCount") for name in rows[0]]
        return [[row[column] for column in order] for row in [renamed, *rows[1:]]]

    before = read_one(table).weights
    assert before is not None
    assert before[:, ARKIT_INDEX["jawLeft"]].any()
    np.testing.assert_array_equal(read_one(changed(table, other)).weights, before)


def test_lost_rows_are_gaps_that_shift_nothing(tmp_path: Path) -> None:
    table = write_take(tmp_path, "a", babble(2.0))
    whole = read_one(table).weights
    assert whole is not None

    def lose(rows: Rows) -> Rows:
        return [[row[0], "0"] if number in (21, 22, 23) else row for number, row in enumerate(rows) if number != 41]

    take = read_one(changed(table, lose))
    assert np.flatnonzero(take.lost).tolist() == [20, 21, 22, 40]
    assert take.weights is not None
    np.testing.assert_allclose(take.weights[~take.lost], whole[~take.lost], atol=1e-6)
    thirds = whole[19] + (whole[23] - whole[19]) * np.float32(0.5)
    np.testing.assert_allclose(take.weights[21], thirds, atol=1e-6)
    assert "4 of 60 frames (6.7%) were not tracked, in 2 gaps of up to 3 frames" in " ".join(take.notes)


def test_midnight_is_no_gap(tmp_path: Path) -> None:
    table = write_take(tmp_path, "a", babble(2.0))

    def late(rows: Rows) -> Rows:
        for number, row in enumerate(rows[1:]):
            ticks = 86_399 * 60 + 2 * number
            seconds = ticks // 60 % 86_400
            row[0] = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{ticks % 60:02d}.000"
        return rows

    take = read_one(changed(table, late))
    assert (take.num_frames, take.fps, take.lost.any()) == (60, 30, False)


def test_the_calibrated_table_is_used_and_said(tmp_path: Path) -> None:
    folder = tmp_path / "20261130_Slate_1"
    quiet, loud = babble(1.0, seed=1), babble(1.0, seed=2)
    for name in ("Slate_1", "Slate_1_raw", "Slate_1_neutral"):
        write_take(folder, name, quiet, with_sound=name == "Slate_1")
    write_take(folder, "Slate_1_cal", loud, with_sound=False)
    take = read_one(tmp_path)
    np.testing.assert_allclose(take.weights, loud.weights, atol=1e-6)
    assert (take.name, take.audio) == ("Slate_1", folder / "Slate_1.wav")
    assert take.notes[0].startswith("Slate_1_cal.csv was read: it is calibrated to the actor's neutral face")
    raw = read_one(folder / "Slate_1_raw.csv")
    np.testing.assert_allclose(raw.weights, quiet.weights, atol=1e-6)


def test_a_take_may_be_called_neutral(tmp_path: Path) -> None:
    write_take(tmp_path, "mary_neutral", babble(1.0))
    write_take(tmp_path, "mary_joy", babble(1.0))
    assert list(read_all(tmp_path)) == ["mary_joy", "mary_neutral"]


def test_takes_of_one_name_in_several_folders_keep_apart(tmp_path: Path) -> None:
    for folder in ("monday", "tuesday"):
        write_take(tmp_path / folder, "Slate_1", babble(1.0))
    assert list(read_all(tmp_path)) == ["monday_Slate_1", "tuesday_Slate_1"]


def test_a_recording_that_begins_earlier_by_its_clock(tmp_path: Path) -> None:
    """The time reference of a Broadcast Wave file, 10 s of the day, against a table that begins at 10.5 s."""
    table = write_take(tmp_path, "a", babble(2.0))

    def later(rows: Rows) -> Rows:
        for number, row in enumerate(rows[1:]):
            ticks = 630 + 2 * number
            row[0] = f"00:00:{ticks // 60:02d}:{ticks % 60:02d}.000"
        return rows

    changed(table, later)
    path = tmp_path / "a.wav"
    content = path.read_bytes()
    bext = bytearray(602)
    bext[338:346] = (10 * 24_000).to_bytes(8, "little")
    chunk = b"bext" + len(bext).to_bytes(4, "little") + bytes(bext)
    size = len(content) - 8 + len(chunk)
    path.write_bytes(content[:4] + size.to_bytes(4, "little") + content[8:12] + chunk + content[12:])
    take = read_one(table)
    assert take.audio_start == pytest.approx(0.5, abs=1e-3)
    assert len(soundfile.read(path)[0])


def header_of_other(rows: Rows) -> Rows:
    return [["frame", " timestamp", " AU01_r", " AU02_r"], ["1", "0.0", "0", "0"]]


def cut_in_the_middle(rows: Rows) -> Rows:
    return [*rows[:10], rows[10][:20], *rows[11:]]


def no_face(rows: Rows) -> Rows:
    return [rows[0], *([row[0], "0"] for row in rows[1:])]


def a_word(rows: Rows) -> Rows:
    rows[5][7] = "n/a"
    return rows


def percent(rows: Rows) -> Rows:
    return [rows[0], *([*row[:2], *(str(100 * float(cell)) for cell in row[2:])] for row in rows[1:])]


def still_jaw(rows: Rows) -> Rows:
    column = rows[0].index("JawOpen")
    return [rows[0], *([*row[:column], "0", *row[column + 1 :]] for row in rows[1:])]


def no_jaw(rows: Rows) -> Rows:
    column = rows[0].index("JawOpen")
    return [[*row[:column], *row[column + 1 :]] for row in rows]


def far_below_zero(rows: Rows) -> Rows:
    rows[5][rows[0].index("JawOpen")] = "-50"
    return rows


def degrees(rows: Rows) -> Rows:
    rows[5][rows[0].index("LeftEyeYaw")] = "12.5"
    return rows


def swapped_rows(rows: Rows) -> Rows:
    rows[10], rows[15] = rows[15], rows[10]
    return rows


def another_hour(rows: Rows) -> Rows:
    rows[-1][0] = "05:00:00:00.000"
    return rows


def no_time(rows: Rows) -> Rows:
    return [rows[0], *(["00:00:00:00.000", *row[1:]] for row in rows[1:])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (header_of_other, "its columns are frame"),
        (cut_in_the_middle, "row 11 has 20 columns, the header has 63"),
        (no_face, "no face was tracked in any of its 30 rows"),
        (a_word, "row 6, column 'EyeSquintLeft': 'n/a' is not a number"),
        (percent, "weights are from 0 to 1"),
        (still_jaw, "jawOpen is 0 in every frame"),
        (no_jaw, "has no column JawOpen"),
        (far_below_zero, "frame 4: jawOpen is -50, weights are from 0 to 1"),
        (degrees, "frame 4: LeftEyeYaw is 12.5, angles are radians"),
        (swapped_rows, "row 12: its time code"),
        (another_hour, "row 31: its time code 05:00:00:00.000 is"),
        (no_time, "its time codes tell no frame rate"),
    ],
)
def test_bad_tables_are_one_clear_error(tmp_path: Path, change: object, message: str) -> None:
    table = changed(write_take(tmp_path, "a", babble(1.0)), change)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"a\.csv") as caught:
        read_one(table)
    assert message in str(caught.value)


def test_a_row_that_ends_early_at_the_end_is_left_out(tmp_path: Path) -> None:
    table = write_take(tmp_path, "a", babble(1.0))
    content = table.read_bytes()
    table.write_bytes(content[: content.rindex(b"\n", 0, -1) + 200])
    take = read_one(table)
    assert take.num_frames == 29
    assert "its last row ends early and was left out" in take.notes


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(UserError, match="is no table of Live Link Face"):
        read_one(path)


def test_a_take_for_metahumans_is_refused_in_those_words(tmp_path: Path) -> None:
    for name in ("take.json", "frame_log.csv", "video.mov", "depth_data.bin"):
        (tmp_path / name).write_text("V,0,0:0:0.0,1\n")
    with pytest.raises(UserError, match="is a take for MetaHuman Animator: pictures and depth, without weights"):
        read_one(tmp_path)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "LiveLinkFace_20260409_MySlate_9_iPhone.zip"
    archive.write_bytes(b"PK\x03\x04")
    for source in (archive, tmp_path):
        with pytest.raises(UserError, match="is an archive") as caught:
            read_one(source)
        assert caught.value.path == archive


def test_the_neutral_face_of_a_take_is_no_take(tmp_path: Path) -> None:
    write_take(tmp_path, "Slate_1_cal", babble(1.0))
    neutral = write_take(tmp_path, "Slate_1_neutral", babble(1.0))
    with pytest.raises(UserError, match="holds the actor's neutral face") as caught:
        read_one(neutral)
    assert "Slate_1_cal.csv" in str(caught.value)


def test_one_recording_for_two_takes_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_take(tmp_path, name, babble(1.0))
    with pytest.raises(UserError, match="names one recording"):
        read_all(tmp_path, audio=tmp_path / "a.wav")
    moved = tmp_path / "sound"
    moved.mkdir()
    (tmp_path / "b.wav").rename(moved / "b.wav")
    found = read_all(tmp_path, audio=moved)
    assert [take.audio for take in found.values()] == [None, moved / "b.wav"]
