"""Damaged and hostile films: our error, or a well-formed track; soon, and in little memory."""

from __future__ import annotations

import struct
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_files import set_edits, speech_like, write_media

from audio2face.audio import read_track
from audio2face.errors import FileFormatError, UserError

KINDS = {
    "a.m4a": ("aac", None, {}),
    "b.m4a": ("aac", None, {"movflags": "faststart"}),
    "c.mp4": ("aac", None, {"movflags": "frag_keyframe+empty_moov+delay_moov"}),
    "d.mov": ("pcm_s16le", "libx264", {}),
    "e.webm": ("libopus", None, {}),
    "f.mkv": ("flac", "libx264", {}),
    "g.ts": ("aac", None, {}),
    "h.mpg": ("mp2", "mpeg1video", {}),
    "i.avi": ("pcm_s16le", "mpeg4", {}),
    "j.mp3": ("libmp3lame", None, {}),
    "k.aac": ("aac", None, {}),
    "l.caf": ("alac", None, {}),
    "m.opus": ("libopus", None, {}),
}
EXACT = ("a.m4a", "b.m4a", "c.mp4", "d.mov", "e.webm", "f.mkv", "i.avi", "l.caf")  # whose containers tell their end
_FOLDER: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    _FOLDER[:] = [tmp_path_factory.mktemp("damaged")]
    return _FOLDER[0]


@cache
def whole(name: str) -> bytes:
    codec, video, options = KINDS[name]
    path = _FOLDER[0] / f"whole-{name}"
    write_media(path, codec, sounds=[speech_like(48_000, 0.5)], video=video, options=options)
    return path.read_bytes()


def is_readable(name: str, content: bytes) -> bool:
    path = _FOLDER[0] / name
    path.write_bytes(content)
    track, refusal, began = None, "", time.process_time()
    try:
        track = read_track(path)
    except UserError as error:
        refusal = str(error)
    assert time.process_time() - began < 5
    if track is None:
        assert name in refusal
        return False
    assert track.data.dtype == np.float32
    assert len(track.data) > 0
    assert np.isfinite(track.data).all()
    return True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(KINDS)), data=st.data())
def test_cut_anywhere(name: str, data: st.DataObject) -> None:
    content = whole(name)
    readable = is_readable(name, content[: data.draw(st.integers(0, len(content) - 1))])
    assert not (readable and name in EXACT and name != "c.mp4")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(KINDS)), data=st.data())
def test_any_bytes_replaced(name: str, data: st.DataObject) -> None:
    content = bytearray(whole(name))
    reach = data.draw(st.sampled_from([64, 1000, len(content)]))
    at_end = data.draw(st.booleans())
    for place in data.draw(st.sets(st.integers(0, min(reach, len(content)) - 1), min_size=1, max_size=6)):
        content[-1 - place if at_end else place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    is_readable(name, bytes(content))


@pytest.mark.parametrize("name", ["b.m4a", "e.webm", "f.mkv", "i.avi"])
def test_the_rest_of_a_truncated_file_is_reported_in_seconds(folder: Path, name: str) -> None:
    path, content = folder / name, whole(name)
    path.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(FileFormatError, match=r"the file is cut off: .* its audio can be decoded up to 0\.\d\d s"):
        read_track(path)


def test_a_recording_without_index_is_distinguished_from_other_damage(folder: Path) -> None:
    path, content = folder / "a.m4a", whole("a.m4a")
    path.write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(FileFormatError, match="its recording was not finished"):
        read_track(path)


def test_damaged_sound_is_refused_with_its_time(folder: Path) -> None:
    path, content = folder / "a.m4a", bytearray(whole("a.m4a"))
    middle = content.index(b"mdat") + 4000
    content[middle : middle + 600] = bytes(index * 37 % 251 for index in range(600))
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"a\.m4a: the audio cannot be decoded after 0\.\d\d s"):
        read_track(path)


@pytest.mark.parametrize("count", [0, 2**31, 1001])
def test_hostile_edit_lists_are_refused(folder: Path, count: int) -> None:
    path, content = folder / "a.m4a", bytearray(whole("a.m4a"))
    struct.pack_into(">I", content, content.index(b"elst") + 8, count)
    path.write_bytes(content)
    if count == 0:
        assert len(read_track(path).data) > 0
        return
    with pytest.raises(FileFormatError, match="edit list is damaged or has more than 1,000 edits"):
        read_track(path)


def test_an_hour_of_silence_before_half_a_second_of_sound_is_not_believed(folder: Path) -> None:
    path = folder / "a.m4a"
    path.write_bytes(whole("a.m4a"))
    set_edits(path, [(3_600_000, -1), (500, 1024)])
    with pytest.raises(FileFormatError, match=r"a\.m4a: the header states .* more than [0-9,]* bytes can hold"):
        read_track(path)
