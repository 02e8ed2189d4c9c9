"""What Maya writes beside the simplest cache: several channels, scalars, odd times, a file per frame."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from cache_samples import channel, chunk, frames_of, group, header, number, write_by_hand

from audio2face.errors import FileFormatError, UserError
from audio2face.geometry import maya_chunks, open_cache, write_maya
from audio2face.geometry.point_cache import ScatteredFrames, StridedFrames

HEAD, TONGUE = frames_of(3, 4, seed=1), frames_of(3, 2, seed=2)


def two_channels(**more: bytes) -> bytes:
    """Three frames at ticks 0, 200, 400 with a head (float), a tongue (double) and scalars of either type."""
    frames = [
        group(
            b"MYCH",
            number(b"TIME", 200 * frame),
            channel("count", b"DBLA", np.array([frame])),
            channel("head", b"FVCA", HEAD[frame]),
            channel("age", b"FBCA", np.arange(frame + 1) if "growing" in more else np.arange(3) + frame),
            channel("tongue", b"DVCA", TONGUE[frame]),
        )
        for frame in range(3)
    ]
    return header() + b"".join(frames)


def note(name: str, interpretation: str) -> str:
    return f'<c ChannelName="{name}" ChannelInterpretation="{interpretation}"/>'


def test_channel_by_name_among_several(tmp_path: Path) -> None:
    path = write_by_hand(tmp_path, two_channels())
    assert np.array_equal(open_cache(path, channel="head")[:], HEAD)
    tongue = open_cache(path, channel="tongue")
    assert (tongue.channel, tongue.dtype, tongue.fps, tongue.warnings) == ("tongue", np.float64, 30, ())
    assert np.array_equal(tongue[:], TONGUE)
    with pytest.raises(UserError, match=r"2 channels of positions.*'head' \(.*'tongue' \("):
        open_cache(path)
    with pytest.raises(UserError, match=r"no channel 'count'.*'head' \(.*'tongue' \("):
        open_cache(path, channel="count")


def test_channel_by_being_the_only_positions(tmp_path: Path) -> None:
    notes = note("head", "positions") + note("tongue", "velocity")
    assert np.array_equal(open_cache(write_by_hand(tmp_path, two_channels(), channels=notes))[:], HEAD)
    notes = note("head", "velocity") + note("tongue", "velocity")
    with pytest.raises(FileFormatError, match="no channel of positions"):
        open_cache(write_by_hand(tmp_path, two_channels(), channels=notes))


def test_frames_of_one_layout_are_one_view_and_others_still_read(tmp_path: Path) -> None:
    regular = open_cache(write_by_hand(tmp_path, two_channels()), channel="head")
    assert isinstance(regular.source, StridedFrames)
    irregular = open_cache(write_by_hand(tmp_path, two_channels(growing=b"")), channel="head")
    assert isinstance(irregular.source, ScatteredFrames)
    assert np.array_equal(irregular.read(1, 3), HEAD[1:])


@pytest.mark.parametrize("far_apart", [0, 1 << 30])
def test_layout_is_checked_in_every_frame(far_apart: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that lie far apart are read, near ones are looked at through the memory map."""
    monkeypatch.setattr(maya_chunks, "_FAR_APART", far_apart)
    frames = frames_of(5, 2)
    write_maya(tmp_path / "a.xml", frames, fps=30, start_time=1)
    cache = open_cache(tmp_path / "a.xml")
    assert isinstance(cache.source, StridedFrames)
    assert (cache[:].tobytes(), cache.fps, cache.start_time) == (frames.tobytes(), 30, 1)
    data = (tmp_path / "a.mc").read_bytes()
    third = [at for at in range(len(data)) if data.startswith(b"faceShape", at)][2]
    (tmp_path / "a.mc").write_bytes(data[:third] + b"F" + data[third + 1 :])
    with pytest.raises(FileFormatError, match=r"frame 2: .*'faceShape' expected"):
        open_cache(tmp_path / "a.xml")


def test_several_channels_are_written(tmp_path: Path) -> None:
    joined = np.concatenate([HEAD, TONGUE], axis=1)
    for options in ({}, {"wide": True}, {"per_frame": True}):
        write_maya(tmp_path / "a.xml", joined, fps=30, channel={"head": 4, "tongue": 2}, **options)
        assert np.array_equal(open_cache(tmp_path / "a.xml", channel="head")[:], HEAD)
        assert np.array_equal(open_cache(tmp_path / "a.xml", channel="tongue")[:], TONGUE)


def test_frames_must_agree(tmp_path: Path) -> None:
    def frame(number_of_verts: int, name: str = "a") -> bytes:
        return group(b"MYCH", number(b"TIME", 0), channel(name, b"FVCA", HEAD[0][:number_of_verts]))

    for data, problem in (
        (header() + frame(4) + frame(4) + frame(3), r"frame 2: channel 'a' has 3 vertices.*frame 0 has 4"),
        (header() + frame(4) + frame(4, "b"), "frame 1: one TIME and one channel 'a' expected, 0 channels found"),
        (header() + frame(0), "no vertices"),
        (header(), "holds no frame"),
        (header() + group(b"MYCH", number(b"TIME", 0)), "no channel of positions"),
        (header() + group(b"MYCH", number(b"TIME", 0), *[channel("a", b"FVCA", HEAD[0])] * 2), "one name"),
        (header() + group(b"MYCH", channel("a", b"FVCA", HEAD[0])) * 2, "several frames, the first without TIME"),
        (header() + group(b"MYCH", chunk(b"FVCA", bytes(12))), "without a name"),
        (b"RIFF" + bytes(40), "FOR4 or FOR8"),
        (b"", "empty"),
    ):
        with pytest.raises(FileFormatError, match=problem):
            open_cache(write_by_hand(tmp_path, data))


@pytest.mark.parametrize(
    ("ticks", "range_", "step", "fps", "start", "warnings"),
    [
        ([-400, -200, 0], "-400-0", "200", 30, -400 / 6000, []),
        ([-400, -200, 0], "-400--200", "200", 30, -400 / 6000, ["time range"]),
        ([0, 250, 500], "0-500", "200", 24, 0, ["200 ticks per frame"]),
        ([0, 250, 501], "0-501", "250", 12000 / 501, 0, []),
        ([0, 200, 1000], "0-1000", "500", 12, 0, ["not evenly spaced"]),
        ([0, 0, 0], "0-0", "200", 30, 0, ["not evenly spaced", "ticks per frame"]),
        ([0, 0, 0], "0-0", "0", None, 0, ["not evenly spaced"]),
    ],
)
def test_times(ticks, range_, step, fps, start, warnings, tmp_path: Path) -> None:
    frames = (group(b"MYCH", number(b"TIME", tick), channel("a", b"FVCA", HEAD[0])) for tick in ticks)
    cache = open_cache(write_by_hand(tmp_path, header() + b"".join(frames), range=range_, step=step))
    assert (cache.fps, cache.start_time) == (pytest.approx(fps) if fps else None, pytest.approx(start))
    assert len(cache.warnings) == len(warnings)
    assert all(expected in found for expected, found in zip(warnings, cache.warnings, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<a/>",
        "<a><cacheType Type='OneFile'/>",
        "<a><cacheType Type='Stream'/></a>",
        "<a><cacheType Type='OneFile'/><time Range='5'/></a>",
        "<a><cacheType Type='OneFile'/><time Range='0-99999999999999999999'/></a>",
        "<a><cacheType Type='OneFile'/><cacheTimePerFrame TimePerFrame='-2'/></a>",
        "<!DOCTYPE a [<!ENTITY b 'bbbb'>]><a><cacheType Type='&b;'/></a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a><cacheType Type='OneFile'/></a>",
        "<?xml version='1.0' encoding='utf-7'?><a/>",
        "<?xml version='1.0' encoding='shift_jis'?><a/>",
        "<a><cacheType Type='OneFile'/>" + "".join(f"<c ChannelName='{i}'/>" for i in range(5000)) + "</a>",
        "<a><cacheType Type='OneFile'/>" + " " * (4 << 20) + "</a>",
        "<a>" * 100_000,
    ],
)
def test_bad_descriptions(text: str, tmp_path: Path) -> None:
    path = write_by_hand(tmp_path, two_channels())
    path.write_text(text)
    with pytest.raises(FileFormatError) as caught:
        open_cache(path, channel="head")
    assert caught.value.path == path


def test_data_file_of_the_other_extension_serves(tmp_path: Path) -> None:
    path = write_by_hand(tmp_path, two_channels(), format="mcx")
    assert np.array_equal(open_cache(path, channel="head")[:], HEAD)
    (tmp_path / "hand.mc").unlink()
    with pytest.raises(UserError, match=r"hand\.mcx is missing"):
        open_cache(path)


def test_file_per_frame_without_time(tmp_path: Path) -> None:
    """As Maya names and fills them: ticks beside whole frames, the time in the header alone."""
    names = ["handFrame-1.mc", "handFrame-1Tick100.mc", "handFrame0.mc"]
    files = {
        name: header(tick, tick) + group(b"MYCH", channel("a", b"FVCA", HEAD[row]))
        for row, (name, tick) in enumerate(zip(names, (-200, -100, 0), strict=True))
    }
    others = {"handFrame0.txt": b"", "hand2Frame7.mc": b"", "handFrameX.mc": b""}
    path = write_by_hand(tmp_path, files | others, layout="OneFilePerFrame", range="-200-0", step="100")
    cache = open_cache(path)
    assert np.array_equal(cache[:], HEAD)
    assert (cache.fps, cache.start_time, cache.warnings) == (60, -200 / 6000, ())
    (tmp_path / names[1]).write_bytes(files[names[1]][:-1])
    with pytest.raises(FileFormatError, match="announces") as caught:
        open_cache(path)
    assert caught.value.path == tmp_path / names[1]


def test_file_per_frame_that_lost_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    write_maya(path, frames_of(5, 2), fps=29.97, per_frame=True)
    (tmp_path / "aFrame2.mc").unlink()
    with pytest.raises(FileFormatError, match=r"after aFrame1\.mc is missing"):
        open_cache(path)
    for file in tmp_path.glob("*.mc"):
        file.unlink()
    with pytest.raises(UserError, match="none of its data files"):
        open_cache(path)


def test_file_per_frame_with_other_vertices(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    write_maya(path, frames_of(3, 2), fps=30, per_frame=True)
    write_maya(tmp_path / "other.xml", frames_of(2, 3), fps=30, per_frame=True)
    (tmp_path / "otherFrame1.mc").rename(tmp_path / "aFrame1.mc")
    with pytest.raises(FileFormatError, match="with 2 vertices of type FVCA") as caught:
        open_cache(path)
    assert caught.value.path == tmp_path / "aFrame1.mc"


def test_file_that_shrinks_while_open_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    write_maya(path, frames_of(3, 2), fps=30, per_frame=True)
    cache = open_cache(path)
    (tmp_path / "aFrame1.mc").write_bytes(b"FOR4")
    with pytest.raises(FileFormatError, match="truncated while it was in use"):
        cache.read(0, 3)
    (tmp_path / "aFrame1.mc").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        cache.read(0, 3)


def test_shorter_cache_of_a_file_per_frame_replaces_a_longer(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    write_maya(path, frames_of(5, 2), fps=30, per_frame=True, wide=True)
    write_maya(path, frames_of(3, 2), fps=30, per_frame=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.xml"] + [f"aFrame{n}.mc" for n in range(3)]


def test_header_and_description_tell_the_times(tmp_path: Path) -> None:
    write_maya(tmp_path / "x_a.b.xml", frames_of(4, 2), fps=24, start_time=-0.5, channel="rig:faceShape")
    data = (tmp_path / "x_a.b.mc").read_bytes()
    assert data.startswith(header(-3000, -2250))
    root = ElementTree.parse(tmp_path / "x_a.b.xml").getroot()
    assert root.tag == "Autodesk_Cache_File"
    assert [(child.tag, child.attrib) for child in root][:4] == [
        ("cacheType", {"Type": "OneFile", "Format": "mcc"}),
        ("time", {"Range": "-3000--2250"}),
        ("cacheTimePerFrame", {"TimePerFrame": "250"}),
        ("cacheVersion", {"Version": "2.0"}),
    ]
    assert root.find("Channels")[0].attrib == {
        "ChannelName": "rig:faceShape",
        "ChannelType": "FloatVectorArray",
        "ChannelInterpretation": "positions",
        "SamplingType": "Regular",
        "SamplingRate": "250",
        "StartTime": "-3000",
        "EndTime": "-2250",
    }
