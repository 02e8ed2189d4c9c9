"""MP3 with and without the tag that tells its length, with pictures, joined, and damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from media_files import delay_seconds, speech_like, write_media

from audio2face.audio import read_header, read_track, sample_blocks
from audio2face.errors import FileFormatError

RATE = 44_100
FRAME = 1152  # samples
PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 400


def write_mp3(path: Path, tagged: bool, quality: str | None = None) -> None:
    options = {"write_xing": "1" if tagged else "0", "id3v2_version": "0"}
    write_media(path, "libmp3lame", RATE, options=options)
    if quality is not None:
        path.write_bytes(b"")
        _write_variable(path, quality, options)


def _write_variable(path: Path, quality: str, options: dict[str, str]) -> None:
    import av

    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
        stream.codec_context.options = {"global_quality": quality, "flags": "+qscale"}
        frame = av.AudioFrame.from_ndarray(speech_like(RATE)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        for part in av.AudioResampler("fltp", "mono", RATE, frame_size=FRAME).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def picture_tag() -> bytes:
    """An ID3v2 tag with the picture of a record's sleeve."""
    body = b"\0image/jpeg\0\x03\0" + PICTURE
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    size = len(frame)
    return b"ID3\x03\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame


def length(path: Path) -> int:
    """Samples as the header tells and as they are decoded."""
    count = sum(len(block) for block in sample_blocks(path))
    assert read_header(path).num_samples == count
    return count


@pytest.mark.parametrize("quality", [None, "118", "708"])
def test_a_file_without_info_tag_is_read_to_its_end(tmp_path: Path, quality: str | None) -> None:
    path = tmp_path / "a.mp3"
    write_mp3(path, tagged=False, quality=quality)
    sound = speech_like(RATE)
    assert len(sound) <= length(path) <= len(sound) + 3 * FRAME
    samples = np.concatenate(list(sample_blocks(path)))[:, 0]
    assert delay_seconds(samples, sound, RATE) == pytest.approx(0.025, abs=0.005)  # as every player plays it
    assert read_track(path).duration == pytest.approx(length(path) / RATE, abs=1e-4)


@pytest.mark.parametrize("tagged", [True, False])
def test_a_picture_before_and_tags_behind_the_sound_do_no_harm(tmp_path: Path, tagged: bool) -> None:
    path = tmp_path / "a.mp3"
    write_mp3(path, tagged)
    plain = length(path)
    path.write_bytes(picture_tag() + path.read_bytes() + b"TAG" + bytes(125))
    assert length(path) == plain


@pytest.mark.parametrize("tagged", [True, False])
def test_joined_files_are_read_to_the_end(tmp_path: Path, tagged: bool) -> None:
    path = tmp_path / "a.mp3"
    write_mp3(path, tagged)
    one = length(path)
    path.write_bytes(path.read_bytes() * 2)
    assert 2 * one - FRAME <= length(path) <= 2 * one + 4 * FRAME
    path.write_bytes(picture_tag() + path.read_bytes() + b"TAG" + bytes(125) + picture_tag() + path.read_bytes())
    assert length(path) >= 4 * one - 4 * FRAME


def test_what_was_cut_off_is_refused_where_a_tag_tells_the_length(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    write_mp3(path, tagged=True)
    path.write_bytes(path.read_bytes()[:10_000])
    words = r"a\.mp3: the audio ends at [01]\.\d\d s, the header states 2\.\d\d s"
    with pytest.raises(FileFormatError, match=words):
        read_track(path)


@pytest.mark.parametrize("tagged", [True, False])
def test_damage_is_refused_with_its_time(tmp_path: Path, tagged: bool) -> None:
    path = tmp_path / "a.mp3"
    write_mp3(path, tagged)
    content = bytearray(path.read_bytes())
    content[12_000:14_000] = bytes(index * 37 % 251 for index in range(2000))
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"a\.mp3: the audio cannot be decoded after [01]\.\d\d s"):
        read_track(path)
