"""The video as a player would read it: pictures at the right times, sound in step; and single pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from faces import example_face, tone
from matplotlib.image import imread
from scipy.signal import correlate, resample_poly

from audio2face.errors import UserError
from audio2face.export import Animation
from audio2face.export.video import write_picture, write_video


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Animation:
    return example_face(tmp_path_factory.mktemp("face"))


def test_two_faces_in_step_with_the_sound(face: Animation, tmp_path: Path) -> None:
    slower = replace(face, fps=60.0)
    path = write_video(face, tmp_path / "x.mp4", compare=slower, labels=("one", "two"), size=(256, 144))
    with av.open(path) as container:
        assert container.streams.video[0].average_rate == 30
        pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    with av.open(path) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert (len(pictures), pictures[0].shape) == (face.num_frames, (144, 256, 3))
    assert sound.size / 48_000 == pytest.approx(face.seconds, abs=0.03)
    assert face.audio is not None
    source = resample_poly(soundfile.read(face.audio)[0], 3, 1)
    count = min(len(source), len(sound))
    lag = correlate(sound[:count], source[:count]).argmax() - (count - 1)
    assert abs(lag) < 48  # a millisecond
    # The right face runs at twice the rate: at frame 6 it is where the left is at frame 12.
    left, right = pictures[12][30:118, 30:98], pictures[6][30:118, 158:226]
    other = pictures[12][30:118, 158:226]
    assert np.abs(left - right).mean() < 2 < np.abs(left - other).mean()


def test_six_channels_an_odd_rate_and_more_sound_than_pictures(face: Animation, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, (30_000, 6))
    soundfile.write(tmp_path / "six.wav", samples, 11_025)
    short = replace(
        face,
        fps=30_000 / 1001,
        skin=replace(face.skin, frames=face.skin.frames[:3]),
        audio=tmp_path / "six.wav",
    )
    path = write_video(short, tmp_path / "x.mp4", size=(128, 96))
    with av.open(path) as container:
        assert container.streams.video[0].average_rate * 1001 == 30_000
        assert container.streams.audio[0].channels == 2
        assert float(container.duration) / av.time_base == pytest.approx(0.1, abs=0.03)


def test_pictures_and_captions(face: Animation, tmp_path: Path) -> None:
    plain, named = (
        imread(write_picture(face, 12, tmp_path / f"{label}.png", labels=(label, ""), size=(160, 120)))
        for label in ("", "gjp $")
    )
    assert plain.shape[:2] == (120, 160)
    changed = np.abs(plain - named).max(axis=2) > 0.1
    rows, columns = np.nonzero(changed)
    assert rows.min() > 100
    assert columns.max() < 60
    with pytest.raises(UserError, match="there is no frame 24"):
        write_picture(face, 24, tmp_path / "x.png")


def test_invalid_names_and_sizes_raise(face: Animation, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not have the suffix of a video"):
        write_video(face, tmp_path / "x.avi")
    with pytest.raises(UserError, match="not possible"):
        write_video(face, tmp_path / "x.mp4", size=(1279, 720))
    cut = tone(tmp_path / "cut.wav", 0.2)
    cut.write_bytes(cut.read_bytes()[:1000])
    out = tmp_path / "out"
    with pytest.raises(UserError, match="states"):
        write_video(replace(face, audio=cut), out / "x.mp4", size=(128, 96))
    assert not list(out.iterdir())
