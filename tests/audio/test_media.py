"""Films and compressed recordings are the WAV file of the same sound, to a millisecond."""

from __future__ import annotations

import logging
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_files import Float32Array, delay_seconds, set_edits, speech_like, write_media

from audio2face.audio import measure_levels, read_header, read_track, resample_exact, sample_blocks, stream_mono
from audio2face.errors import FileFormatError, UserError

MILLISECOND = 0.001


def read(path: Path) -> Float32Array:
    """The mean of all channels at the file's own rate."""
    samples: Float32Array = np.concatenate([block.mean(axis=1) for block in sample_blocks(path)])
    assert len(samples) == read_header(path).num_samples
    return samples


def ends(path: Path, rate: int, original: Float32Array | None = None) -> tuple[float, float]:
    """How much later, in seconds, a file begins and ends than the sound that it was made from."""
    original = speech_like(rate) if original is None else original
    assert read_header(path).samplerate == rate
    samples = read(path)
    return delay_seconds(samples, original, rate), (len(samples) - len(original)) / rate


@pytest.mark.parametrize(
    ("name", "codec", "rate", "video"),
    [
        ("phone.m4a", "aac", 44_100, None),
        ("phone.mov", "aac", 44_100, "libx264"),
        ("phone.mp4", "aac", 48_000, "libx264"),
        ("phone.3gp", "aac", 16_000, None),
        ("camera.mov", "pcm_s16le", 48_000, "libx264"),
        ("voice.m4a", "alac", 44_100, None),
        ("voice.mp3", "libmp3lame", 44_100, None),
        ("voice.opus", "libopus", 48_000, None),
        ("voice.ogg", "flac", 44_100, None),
        ("page.webm", "libopus", 48_000, "libvpx"),
        ("page.mp4", "libopus", 48_000, None),
        ("film.mkv", "flac", 44_100, "libx264"),
        ("film.avi", "pcm_s16le", 44_100, "mpeg4"),
        ("voice.caf", "alac", 44_100, None),
    ],
)
def test_a_sound_track_begins_and_ends_with_its_sound(
    tmp_path: Path, name: str, codec: str, rate: int, video: str | None
) -> None:
    path, wav = tmp_path / name, tmp_path / "same.wav"
    write_media(path, codec, rate, video=video)
    soundfile.write(wav, speech_like(rate), rate)
    start, end = ends(path, rate)
    assert abs(start) < MILLISECOND
    assert abs(end) < MILLISECOND
    track, same = read_track(path), read_track(wav)
    assert abs(track.duration - same.duration) < MILLISECOND
    np.testing.assert_array_equal(np.concatenate(list(stream_mono(path))), track.data)


@pytest.mark.parametrize(
    ("name", "codec", "video"),
    [
        ("a.mp4", "aac", "libx264"),
        ("a.mov", "pcm_s16le", "libx264"),
        ("a.m4a", "aac", None),
        ("a.mkv", "aac", "libx264"),
        ("a.webm", "libopus", "libvpx"),
        ("a.ts", "aac", "libx264"),
        ("a.mpg", "mp2", "mpeg1video"),
    ],
)
def test_sound_that_begins_after_the_picture_follows_silence(
    tmp_path: Path, name: str, codec: str, video: str | None
) -> None:
    path = tmp_path / name
    write_media(path, codec, 48_000, video=video, at=0.5)
    start, _ = ends(path, 48_000)
    assert start == pytest.approx(0.5, abs=MILLISECOND + 1e-9)
    assert np.abs(read(path)[:20_000]).max() == 0


@pytest.mark.parametrize(
    ("edits", "smpb", "start", "end"),
    [
        ([(2012, 1024)], None, 0, 0),
        ([(500, -1), (2012, 1024)], None, 0.5, 0.5),
        ([(1000, 1024 + 22_050)], None, -0.5, -1.0123),
        ([(0, 1024)], None, 0, 0),
        ([], None, 1024 / 44_100, 1024 / 44_100),
        ([], "00000000 00000400 000002F6 {length:016X} 00000000", 0, 0),
        ([(2012, 1024)], "00000000 00000400 000002F6 {length:016X} 00000000", 0, 0),
    ],
)
def test_edit_lists_and_itunes_tags_place_the_sound(
    tmp_path: Path, edits: list[tuple[int, int]], smpb: str | None, start: float, end: float
) -> None:
    path = tmp_path / "a.m4a"
    write_media(path, "aac", 44_100)
    set_edits(path, edits, smpb and " " + smpb.format(length=len(speech_like(44_100))))
    assert ends(path, 44_100) == pytest.approx((start, end), abs=MILLISECOND)


@pytest.mark.parametrize("priming", [2112, 1600])
def test_priming_of_other_encoders_is_trimmed(tmp_path: Path, priming: int) -> None:
    path, sound = tmp_path / "a.m4a", speech_like(44_100)
    write_media(path, "aac", 44_100, sounds=[np.concatenate([np.zeros(priming - 1024, np.float32), sound])])
    set_edits(path, [(2012, priming)])
    assert ends(path, 44_100) == pytest.approx((0, 0), abs=MILLISECOND)
    set_edits(path, [], f" 00000000 {priming:08X} 00000100 {len(sound):016X}")
    assert ends(path, 44_100) == (0, 0)


@pytest.mark.parametrize("starts", [(0, 0.9), (0.9, 0), (0.3, 0.6)])
def test_edits_follow_each_other_to_the_sample(tmp_path: Path, starts: tuple[float, float]) -> None:
    path, sound = tmp_path / "a.m4a", speech_like(44_100)
    write_media(path, "aac", 44_100)
    places = [round(start * 44_100) for start in starts]
    set_edits(path, [(700, 1024 + places[0]), (250, -1), (700, 1024 + places[1])])
    samples, count = read(path), round(0.7 * 44_100)
    gap = round(0.25 * 44_100)
    assert len(samples) == 2 * count + gap
    assert np.abs(samples[count : count + gap]).max() == 0
    for at, place in zip((0, count + gap), places, strict=True):
        assert delay_seconds(samples[at : at + count], sound[place : place + count], 44_100) == 0


def test_padding_of_fragmented_files_is_trimmed(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_media(path, "aac", 44_100, options={"movflags": "frag_keyframe+empty_moov+delay_moov"})
    assert ends(path, 44_100) == (0, 0)


def test_a_recording_of_a_browser_needs_no_duration(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    write_media(path, "libopus", options={"live": "1"})
    assert ends(path, 48_000) == (0, 0)
    header = read_header(path)
    assert (header.num_channels, header.subtype, header.is_lossy) == (1, "OPUS", True)
    assert header.duration == pytest.approx(len(speech_like(48_000)) / 48_000, abs=1e-9)


def test_lost_sound_is_silence_and_the_rest_stays_in_step(tmp_path: Path) -> None:
    import av

    whole, path = tmp_path / "whole.webm", tmp_path / "a.mkv"
    write_media(whole, "libopus")
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None and not 0.6 < float(packet.pts * packet.time_base) < 1.1:
                packet.stream = stream
                target.mux(packet)
    samples, original = read(path), speech_like(48_000)
    assert delay_seconds(samples[60_000:], original[60_000:], 48_000) == pytest.approx(0, abs=MILLISECOND)
    assert np.abs(samples[33_600:48_000]).max() == 0


@pytest.mark.parametrize(
    ("name", "codec"), [("a.ts", "aac"), ("a.webm", "libopus"), ("a.opus", "libopus"), ("a.aac", "aac")]
)
def test_joined_files_are_read_to_the_end(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    write_media(path, codec)
    one = read_header(path).num_samples
    path.write_bytes(path.read_bytes() * 2)
    assert read_header(path).num_samples == pytest.approx(2 * one, abs=2048)
    samples, original = read(path), speech_like(48_000)
    assert delay_seconds(samples[one : one + len(original)], original, 48_000) == pytest.approx(0, abs=0.03)


def test_mp3_inside_wav_is_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_media(path, "libmp3lame", 44_100)
    assert len(speech_like(44_100)) <= read_header(path).num_samples <= len(speech_like(44_100)) + 4 * 1152
    assert len(read(path)) > 0


def test_the_codecs_of_lossless_tracks_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    write_media(path, "pcm_s16le", 44_100)
    sound = np.clip(np.rint(speech_like(44_100) * 32768), -32768, 32767) / 32768
    header = read_header(path)
    assert (header.subtype, header.is_lossy) == ("PCM_16", False)
    np.testing.assert_allclose(read(path), sound, atol=1 / 32768)
    assert not measure_levels(path).is_silent


def test_the_first_of_several_sound_tracks_is_used_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, sounds = tmp_path / "a.mp4", [speech_like(48_000, seed=seed) for seed in (0, 1)]
    write_media(path, "aac", sounds=sounds, video="libx264")
    with caplog.at_level(logging.WARNING):
        assert ends(path, 48_000)[0] == pytest.approx(0, abs=MILLISECOND)
        read_track(path)
    told = [record.getMessage() for record in caplog.records]
    assert [line for line in told if "audio tracks" in line] == [
        "a.mp4 has 2 audio tracks: number 1 is used (und, aac)"
    ]


def test_surround_sound_is_mixed_as_players_mix_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    parts = [0.25 * speech_like(48_000, seed=seed) for seed in range(6)]
    write_media(path, "pcm_s16le", layout="5.1", sounds=[np.stack(parts)])
    left, right, centre, _, left_behind, right_behind = parts
    half = 0.5**0.5
    mixed = np.stack([left + half * (centre + left_behind), right + half * (centre + right_behind)], axis=1)
    blocks = np.concatenate(list(sample_blocks(path)))
    assert read_header(path).num_channels == 2
    np.testing.assert_allclose(blocks, mixed / (1 + 2 * half), atol=1e-4)


def test_another_rate_and_layout_in_the_middle_are_brought_to_the_first(tmp_path: Path) -> None:
    path, files = tmp_path / "a.mp3", [tmp_path / f"{number}.mp3" for number in range(3)]
    sound = speech_like(44_100)
    for file, rate, layout in zip(files, (44_100, 48_000, 44_100), ("mono", "stereo", "mono"), strict=True):
        options = {"write_xing": "0", "id3v2_version": "0"}
        sounds = [resample_exact(sound, 44_100, rate)]
        write_media(file, "libmp3lame", rate, layout=layout, sounds=sounds, options=options)
    first, second = (read_header(file).duration for file in files[:2])
    path.write_bytes(b"".join(file.read_bytes() for file in files))
    samples, header = read(path), read_header(path)
    assert (header.samplerate, header.num_channels) == (44_100, 1)
    assert header.duration == pytest.approx(2 * first + second, abs=0.005)
    middle, last = (samples[round(start * 44_100) :] for start in (first, first + second))
    for part in (middle, last):
        assert delay_seconds(part[: len(sound)], sound[:80_000], 44_100) == pytest.approx(0.025, abs=0.003)


def test_what_holds_no_sound_is_refused(tmp_path: Path) -> None:
    silent, playlist, picture = (tmp_path / name for name in ("a.mp4", "list.m4a", "b.m4a"))
    write_media(silent, "aac", video="libx264", sounds=[])
    with pytest.raises(UserError, match=r"a\.mp4: has no audio track: it contains video only"):
        read_header(silent)
    write_media(tmp_path / "sound.ts", "aac")
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.0,\nsound.ts\n#EXT-X-ENDLIST\n", encoding="ascii")
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    for path in (playlist, picture):
        with pytest.raises(FileFormatError, match=rf"{path.name}: cannot be read as audio or video"):
            read_track(path)


def test_another_speed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "slow.mov"
    write_media(path, "aac", 44_100)
    set_edits(path, [(8000, 1024)], speed=0x4000)
    with pytest.raises(FileFormatError, match=r"plays the audio at 0\.25 times its speed"):
        read_track(path)


def test_tags_in_any_encoding_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    write_media(path, "aac", titles={"title": "Grußwort"})
    path.write_bytes(path.read_bytes().replace("Grußwort".encode(), b"Gru\xdf\xffwort"))
    assert read_header(path).num_samples > 0


def test_a_long_film_of_many_small_packets_takes_the_memory_of_a_block(tmp_path: Path) -> None:
    path = tmp_path / "long.mkv"
    script = (
        "import resource, sys; from audio2face.audio import *; import numpy as np\n"
        "small, long = sys.argv[1:]\n"
        "def use(path):\n"
        "    count = sum(len(block) for block in sample_blocks(path))\n"
        "    assert count == read_header(path).num_samples\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = use(small); print(use(long) - before)"
    )
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number in range(40_000):
            frame = av.AudioFrame.from_ndarray(np.full((1, 400), number % 100, np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, 400 * number, Fraction(1, 8000)
            container.mux(stream.encode(frame))
    small = tmp_path / "small.mkv"
    write_media(small, "pcm_s16le", 8000)
    grown = subprocess.run(
        [sys.executable, "-c", script, small, path], capture_output=True, text=True, check=True, timeout=300
    )
    assert int(grown.stdout) < 24_000  # KiB; the samples alone would be 61 MiB


def test_the_video_library_is_loaded_when_a_file_needs_it(tmp_path: Path) -> None:
    wav, film = tmp_path / "a.wav", tmp_path / "a.m4a"
    soundfile.write(wav, speech_like(16_000), 16_000)
    write_media(film, "aac")
    script = (
        "import sys; from audio2face.audio import read_track\n"
        "read_track(sys.argv[1]); assert 'av' not in sys.modules; assert 'torch' not in sys.modules\n"
        "read_track(sys.argv[2]); assert 'av' in sys.modules; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, wav, film], check=True, timeout=300)
