"""Films become takes, with a stand-in for MediaPipe: faces followed, lost frames filled and told, rates kept."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from media_files import write_media

from audio2face.cli import import_data
from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.errors import UserError
from audio2face.importers import video
from audio2face.importers.actor import posed_on
from audio2face.importers.face_track import FaceTrack, track_face
from audio2face.importers.film import Film, open_film
from audio2face.importers.film_process import keep_off_the_network, measure_film
from audio2face.importers.film_quality import describe_film, head_motion
from audio2face.importers.kinds import ImportOptions, new_importer
from audio2face.importers.landmarker import Face, check_model, face_of
from audio2face.importers.take import Take
from audio2face.importers.video import take_of
from audio2face.rigs import open_rig
from audio2face.types import Float32Array, Float64Array, Picture

JAW = ARKIT_INDEX["jawOpen"]
FILM = Film(Path("film.mp4"), 640, 480, (Fraction(25),), 4.0, Fraction(0), (), True)


def a_face(jaw: float, left: float = 200, size: float = 200, lips: float = 0.1) -> Face:
    weights = np.zeros(52, np.float32)
    weights[JAW] = jaw
    box = np.array([left, 100, left + size, 100 + size], np.float32)
    return Face(weights, box, lips, np.eye(4, dtype=np.float32))


class StandIn:
    """Sees a jaw that is as open as the picture is bright, and nothing in pictures that are almost black."""

    def __init__(self) -> None:
        self.stamps: list[int] = []

    def faces(self, picture: Picture, milliseconds: int) -> list[Face]:
        self.stamps.append(milliseconds)
        shade = float(picture.mean())
        return [] if shade < 2 else [a_face(shade / 255)]


def pictures(shades: Float64Array, fps: float = 25.0) -> Iterator[tuple[float, Picture]]:
    for number, shade in enumerate(shades):
        yield number / fps, np.full((480, 640, 3), round(float(shade)), np.uint8)


def plain(track: FaceTrack, film: Film = FILM) -> Take:
    return take_of(track, film, "mary", smoothing=0, keeps_rest=True)


def jaw_of(take: Take) -> Float32Array:
    assert take.weights is not None
    return take.weights[:, JAW]


def test_lost_frames_are_interpolated_marked_and_told() -> None:
    shades = np.linspace(50, 150, 101)
    shades[40:44] = 0
    take = plain(track_face(pictures(shades), StandIn()))
    assert np.flatnonzero(take.lost).tolist() == [40, 41, 42, 43]
    assert jaw_of(take) == pytest.approx(np.linspace(50, 150, 101) / 255, abs=0.003)
    assert any("4 of 101 pictures (4.0%) show no face: 1.60 to 1.72 s" in note for note in take.notes)


def test_a_variable_rate_is_resampled_by_its_times_and_told() -> None:
    times = np.arange(120) / 30
    times = np.delete(times + np.where(np.arange(120) % 2, 0.008, 0.0), [50, 51])
    film = replace(FILM, stated_rates=(Fraction(30),))
    shown = ((time, np.full((480, 640, 3), round(40 + 40 * time), np.uint8)) for time in times)
    take = plain(track_face(shown, StandIn()), film)
    assert take.fps == 30
    assert jaw_of(take) == pytest.approx((40 + 40 * np.arange(take.num_frames) / 30) / 255, abs=0.003)
    assert any(note.startswith("its rate varies (pictures up to 37 ms") for note in take.notes)


def test_a_film_that_starts_late_says_where() -> None:
    shown = ((0.12 + time, picture) for time, picture in pictures(np.full(50, 90.0)))
    take = plain(track_face(shown, StandIn()))
    assert take.audio_start == pytest.approx(0.12)
    assert (take.fps, take.num_frames) == (25, 50)


def test_the_largest_face_is_followed_when_another_comes_nearer() -> None:
    class Two:
        def faces(self, picture: Picture, milliseconds: int) -> list[Face]:
            other = a_face(0.9, left=10, size=100 if milliseconds < 1000 else 300)
            return [other, a_face(0.2, left=400)]

    track = track_face(pictures(np.full(50, 90.0)), Two())
    assert track.weights[:, JAW] == pytest.approx(np.full(50, 0.2))
    assert any("more than one face is seen at 0.00 to 1.96 s" in note for note in plain(track).notes)


def test_times_given_to_the_landmarker_ascend() -> None:
    stand_in, picture = StandIn(), np.full((48, 64, 3), 90, np.uint8)
    track_face(((number / 4000, picture) for number in range(40)), stand_in)
    assert stand_in.stamps == list(range(40))


def test_a_film_becomes_a_take_with_its_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_media(tmp_path / "Take 3 joy.mp4", "aac", video="libx264", at=0.2)
    measured = []

    def in_this_process(path: Path, model: Path, seconds: float | None) -> FaceTrack:
        measured.append(path)
        return track_face(open_film(path).pictures(), StandIn())

    stand_in_for_mediapipe(monkeypatch)
    monkeypatch.setattr(video, "measure_film", in_this_process)
    (tmp_path / "model").write_bytes(b"model")
    more = {"model": str(tmp_path / "model"), "smoothing": "0", "rest": "keep"}
    takes = []
    for _ in range(2):
        importer = new_importer("video", ImportOptions(more=more, scratch=tmp_path / "kept"))
        (summary,) = importer.inspect([tmp_path])
        takes.append(importer.read(summary.name))
    take = takes[0]
    assert (summary.name, take.emotion, take.fps, take.num_frames) == ("Take_3_joy", "joy", 25, 70)
    assert take.audio == tmp_path / "Take 3 joy.mp4"
    assert take.audio_start == 0
    assert jaw_of(take)[10:] == pytest.approx(np.arange(10, 70) / 255, abs=0.02)
    assert "tongueOut" not in take.captured
    assert len(take.captured) == 51
    assert len(measured) == 1, "the second call takes the measurements of the first"
    assert np.array_equal(jaw_of(takes[1]), jaw_of(take))


def stand_in_for_mediapipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(path: Path, model: Path, seconds: float | None) -> FaceTrack:
        return track_face(open_film(path).pictures(), StandIn())

    monkeypatch.setattr(video, "measure_film", measured)
    monkeypatch.setattr(video, "check_model", lambda model: [])
    monkeypatch.setattr(video, "require", lambda *args, **named: None)
    monkeypatch.setattr(video, "version", lambda package: "1")


def test_the_command_writes_a_film_as_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A2F_HOME", str(tmp_path))
    for name in ("DATASETS", "WORKSPACE"):
        monkeypatch.setenv(f"A2F_{name}_ROOT", str(tmp_path / name.lower()))
    stand_in_for_mediapipe(monkeypatch)
    film, model = tmp_path / "mary.mp4", tmp_path / "model"
    write_media(film, "aac", video="libx264")
    model.write_bytes(b"model")
    words = ["video", str(film), "--model", str(model), "--smoothing", "0", "--rest", "keep", "--name", "mary"]
    assert import_data.main(words) == 0
    folder = tmp_path / "datasets" / "mary"
    skin = np.load(folder / "cache" / "skin" / "mary_001" / "mary_001.npy")
    rig, first = open_rig("example"), 2  # pictures that are too dark for the stand-in
    expected = np.zeros((1, 52), np.float32)
    expected[0, JAW] = 40 / 255
    assert skin[40 - first] == pytest.approx(rig.skin(expected)[0], abs=0.1)
    heads = [np.load(folder / "xform" / f"head_{what}_all.npz")["mary_001"] for what in ("motion", "positions")]
    assert [head.shape for head in heads] == [(len(skin), 3)] * 2
    assert "its 70 pictures come at 25 frames per second throughout" in (folder / "about.md").read_text()
    assert len(list((tmp_path / "workspace" / "import_measurements").iterdir())) == 1


def test_what_is_no_speech_is_refused() -> None:
    with pytest.raises(UserError, match="no face is seen in any of its 50 pictures of 640 x 480"):
        plain(track_face(pictures(np.zeros(50)), StandIn()))
    with pytest.raises(UserError, match=r"has 5.0 pictures per second"):
        plain(track_face(pictures(np.full(50, 90.0), 5.0), StandIn()), replace(FILM, stated_rates=(Fraction(5),)))


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(20, 0, 0), (0, 15, 0), (0, 0, 10), (20, -15, 10)])
def test_angles_of_the_head(yaw: float, pitch: float, roll: float) -> None:
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), np.sin(r), 0], [-np.sin(r), np.cos(r), 0], [0, 0, 1]])
    poses = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    poses[:, :3, :3], poses[1, :3, 3] = about_y @ about_x @ about_z, [1, 2, 3]
    head = head_motion(poses)
    assert head.angles[0] == pytest.approx([yaw, pitch, roll], abs=1e-4)
    assert head.positions is not None
    assert head.positions[1] == pytest.approx([1, 2, 3])
    # A head that turns to the actor's left, on the right of the picture, shows its nose there.
    assert np.sign((poses[0, :3, :3] @ [0, 0, 1])[0]) == np.sign(yaw)


def test_a_face_is_read_from_landmarks() -> None:
    points = [SimpleNamespace(x=0.5, y=0.5, z=0.0) for _ in range(478)]
    points[33], points[263] = (SimpleNamespace(x=x, y=0.4, z=0.0) for x in (0.4, 0.6))
    for lower in (14, 87, 317):
        points[lower] = SimpleNamespace(x=0.5, y=0.55, z=0.0)
    points[10], points[152] = (SimpleNamespace(x=0.5, y=y, z=0.0) for y in (0.1, 1.05))
    face = face_of(points, {"_neutral": 0.9, "jawOpen": 0.3, "mouthLeft": 0.1}, np.eye(4), (640, 480))
    assert face.lips == pytest.approx(0.05 * 480 / (0.2 * 640))
    assert face.box.tolist() == pytest.approx([320, 48, 320, 504])
    assert face.weights[[JAW, ARKIT_INDEX["mouthLeft"]]] == pytest.approx([0.3, 0.1])
    assert face.weights.sum() == pytest.approx(0.4)


def test_the_pictures_are_judged() -> None:
    def shown(dark: bool) -> Iterator[tuple[float, Picture]]:
        noise = np.random.default_rng(0).integers(0, 60, (480, 640, 3))
        for number in range(30):
            yield number / 25, (noise if dark else noise + 90).astype(np.uint8)

    def notes(dark: bool, **changes: object) -> str:
        track = track_face(shown(dark), StandIn())
        return " ".join(describe_film(replace(track, **changes), video.find_rate(track.times, ())))  # type: ignore[arg-type]

    assert "the face is dark" in notes(dark=True)
    good = notes(dark=False)
    assert good == "its 30 pictures come at 25 frames per second throughout"
    near_edge = np.tile(np.array([500, 100, 700, 300], np.float32), (30, 1))
    assert "the edge of the picture cuts the face at 0.00 to 1.16 s" in notes(dark=False, boxes=near_edge)
    assert "the face is 50 pixels high, of 480" in notes(dark=False, boxes=near_edge / 4)
    assert "the face is blurred" in notes(dark=False, sharpness=np.full(30, 0.005, np.float32))
    turned = np.tile(np.eye(4, dtype=np.float32), (30, 1, 1))
    turned[10:13, :3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    turned[20:, 0, 3] = 5
    text = notes(dark=False, poses=turned)
    assert "the head is turned away at 0.40 to 0.48 s" in text
    assert "the face jumps at 0.80 s" in text


def test_lips_that_were_seen_to_meet_are_closed() -> None:
    rig = open_rig("example")
    weights, meet = np.zeros((2, 52), np.float32), np.array([0, 1], np.float32)
    weights[:, JAW] = 0.2
    lips = posed_on(rig, weights, np.zeros((2, 16), np.float32), meet).skin.read(0, 2)[:, rig.lips]
    gap = 10 * (lips[:, 0, :, 1] - lips[:, 1, :, 1]).mean(axis=1) - 10 * float(
        (rig.neutral[rig.lips[0], 1] - rig.neutral[rig.lips[1], 1]).mean()
    )
    assert gap[0] > 3
    assert gap[1] < 0.1


def test_the_model_is_checked_before_a_film_is_read(tmp_path: Path) -> None:
    path = tmp_path / "face_landmarker.task"
    with pytest.raises(UserError, match="a film needs the network of MediaPipe's face landmarker") as caught:
        check_model(None)
    assert "https://storage.googleapis.com/mediapipe-models/" in str(caught.value.hint)
    with pytest.raises(UserError, match="there is no such model"):
        check_model(path)
    path.write_bytes(b"PK half of it")
    with pytest.raises(UserError, match="is not the network of MediaPipe's face landmarker"):
        check_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("face_blendshapes.tflite", b"x")
    assert "is not the version" in check_model(path)[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"smoothing": "much"}, "--smoothing is 'much'"),
        ({"smoothing": "3"}, "--smoothing is '3'"),
        ({"rest": "no"}, "--rest"),
    ],
)
def test_options_are_checked(more: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        new_importer("video", ImportOptions(more=more))


def test_mediapipe_cannot_reach_a_network() -> None:
    environment = {"no_proxy": "*", "HOME": "/home/mary"}
    keep_off_the_network(environment)
    assert {environment[name] for name in ("https_proxy", "ALL_PROXY")} == {"http://127.0.0.1:9"}
    assert "no_proxy" not in environment


def test_an_error_of_the_measuring_process_arrives(tmp_path: Path) -> None:
    """Without MediaPipe it lacks it; with it, it cannot read the model."""
    write_media(tmp_path / "film.mp4", "aac", video="libx264")
    (tmp_path / "model.task").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"needs what is not installed here: mediapipe|MediaPipe cannot read the model"):
        measure_film(tmp_path / "film.mp4", tmp_path / "model.task", 2.8)
