"""Pictures of films come upright, with square pixels, at the times of a player; the rate is found from the times."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_files import delay_seconds, speech_like, write_media

from audio2face.audio import sample_blocks
from audio2face.errors import FileFormatError, UserError
from audio2face.importers.film import find_rate, open_film
from audio2face.types import Float64Array, Picture

NTSC = Fraction(30_000, 1001)


@pytest.mark.parametrize(
    ("name", "sound", "video"),
    [
        ("phone.mp4", "aac", "libx264"),  # pictures that refer to later ones, behind an edit list
        ("camera.mov", "pcm_s16le", "libx264"),
        ("film.mkv", "flac", "libx264"),
        ("page.webm", "libopus", "libvpx"),
        ("film.avi", "pcm_s16le", "mpeg4"),
        ("stream.ts", "mp2", "libx264"),
        ("film.mpg", "mp2", "mpeg1video"),
    ],
)
def test_pictures_have_the_times_of_a_player_beside_the_sound(
    tmp_path: Path, name: str, sound: str, video: str
) -> None:
    path, late = tmp_path / name, 0.0 if name == "film.avi" else 0.3
    write_media(path, sound, 48_000, video=video, at=late)
    film = open_film(path)
    times, shades = zip(*((time, float(picture.mean())) for time, picture in film.pictures()), strict=True)
    decoded = np.concatenate([block.mean(axis=1) for block in sample_blocks(path)])
    assert delay_seconds(decoded, speech_like(48_000), 48_000) == pytest.approx(late, abs=0.0015)
    # Picture k has about the shade k and is shown at k / 25.
    assert np.array(shades) == pytest.approx(np.arange(70), abs=4.5)
    assert np.array(times) == pytest.approx(np.arange(70) / 25, abs=0.0011)
    assert find_rate(np.array(times), film.stated_rates).fps == 25


def write_pictures(path: Path, pictures: list[Picture], set_up: Callable[[Any], None]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        set_up(stream)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(("degrees", "bright"), [(0, "left"), (90, "bottom"), (180, "right"), (270, "top")])
def test_pictures_are_upright(tmp_path: Path, degrees: int, bright: str) -> None:
    picture = np.zeros((48, 70, 3), np.uint8)
    picture[:, :35] = 255
    write_pictures(tmp_path / "film.mp4", [picture] * 3, lambda stream: stream.set_display_rotation(degrees))
    _, shown = next(iter(open_film(tmp_path / "film.mp4").pictures()))
    assert shown.flags.c_contiguous
    assert shown.shape == ((70, 48, 3) if degrees % 180 else (48, 70, 3))
    halves = {"left": shown[:, :20], "right": shown[:, -20:], "top": shown[:20], "bottom": shown[-20:]}
    assert max(halves, key=lambda half: float(halves[half].mean())) == bright


def test_pixels_are_square(tmp_path: Path) -> None:
    def wide(stream: Any) -> None:
        stream.sample_aspect_ratio = Fraction(3, 2)

    write_pictures(tmp_path / "film.mp4", [np.zeros((48, 70, 3), np.uint8)] * 3, wide)
    _, shown = next(iter(open_film(tmp_path / "film.mp4").pictures()))
    assert shown.shape == (48, 105, 3)


def rounded(times: Float64Array) -> Float64Array:
    return np.asarray(np.round(times, 3))


def test_the_rate_is_found_exactly_where_it_is_constant() -> None:
    frames = np.arange(9000)
    assert find_rate(frames / float(NTSC), [NTSC]).fps == NTSC
    found = find_rate(0.7 + rounded(frames / float(NTSC)), [Fraction(30)])  # a header that states too much
    assert (found.fps, found.is_constant) == (NTSC, True)
    assert find_rate(frames / 17, [Fraction(17)]) == find_rate(frames / 17, [])
    assert find_rate(frames / 60, [Fraction(30)]).fps == 60


@pytest.mark.parametrize("kind", ["lost picture", "jitter"])
def test_a_variable_rate_is_seen(kind: str) -> None:
    times = np.arange(300) / 30
    times = np.delete(times, 100) if kind == "lost picture" else times + 0.01 * np.random.default_rng(0).random(300)
    found = find_rate(times, [Fraction(30)])
    assert (found.fps, found.is_constant) == (30, False)
    assert found.spread > 0.004


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    sound, text = tmp_path / "voice.m4a", tmp_path / "notes.mp4"
    write_media(sound, "aac")
    text.write_text("no film")
    with pytest.raises(UserError, match="holds no moving pictures"):
        open_film(sound)
    with pytest.raises(FileFormatError, match="cannot be read"):
        open_film(text)
    with pytest.raises(UserError, match="there is no such film"):
        open_film(tmp_path / "absent.mp4")
