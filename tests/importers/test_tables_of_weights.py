"""Weights of ARKit's shapes in the forms that programs write, and what is said of bad ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live_link_takes import babble, write_take

from audio2face.animation.animation import Animation, Surface
from audio2face.dataset.arkit_names import ARKIT_NAMES, TONGUE_NAMES
from audio2face.errors import UserError
from audio2face.export.tables import write_table
from audio2face.importers.kinds import ImportOptions, new_importer
from audio2face.importers.take import Take
from audio2face.rigs.opening import open_rig

SPOKEN = babble(2.0)
WEIGHTS = SPOKEN.weights


def read_one(path: Path, **options: object) -> Take:
    importer = new_importer("arkit", ImportOptions(**options))  # type: ignore[arg-type]
    (row,) = importer.inspect([path])
    return importer.read(row.name)


def as_json(path: Path, rate: float = 30.0) -> Path:
    """Audio2Face's export, with the tongue's shapes."""
    tongue = np.zeros((len(WEIGHTS), len(TONGUE_NAMES)), np.float32)
    tongue[:, 3] = 0.5
    document = {
        "exportFps": rate,
        "trackPath": "C:/sound/speech.wav",
        "numPoses": 68,
        "numFrames": len(WEIGHTS),
        "facsNames": [*ARKIT_NAMES, *TONGUE_NAMES],
        "weightMat": np.concatenate([WEIGHTS, tongue], axis=1).tolist(),
    }
    path.write_text(json.dumps(document))
    return path


def as_table(path: Path, spell: Callable[[str], str], separator: str = ",", seconds: bool = True) -> Path:
    """A table of another program: its own spelling, and the time in seconds."""
    rows = [separator.join([*(["time"] if seconds else []), *map(spell, ARKIT_NAMES)])]
    for frame, row in enumerate(WEIGHTS.tolist()):
        rows.append(separator.join([*([f"{frame / 30:.6f}"] if seconds else []), *map(str, row)]))
    path.write_text("\n".join(rows))
    return path


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def test_audio2faces_json_with_its_tongue_and_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "speech.wav", SPOKEN.samples, SPOKEN.samplerate)
    take = read_one(as_json(tmp_path / "weights.json"))
    np.testing.assert_allclose(take.weights, WEIGHTS, atol=1e-6)
    assert take.tongue is not None
    assert (take.fps, take.audio) == (30, tmp_path / "speech.wav")
    assert (take.tongue.max(axis=0).argmax(), take.tongue.max()) == (3, 0.5)


@pytest.mark.parametrize(
    ("spell", "separator"),
    [(snake, ","), (str.lower, ";"), (lambda name: f"Head.{name.replace('Left', '_L').replace('Right', '_R')}", "\t")],
)
def test_tables_in_any_spelling(tmp_path: Path, spell: Callable[[str], str], separator: str) -> None:
    take = read_one(as_table(tmp_path / "weights.csv", spell, separator))
    np.testing.assert_allclose(take.weights, WEIGHTS, atol=1e-6)
    assert take.fps == 30


def test_times_in_milliseconds(tmp_path: Path) -> None:
    path = as_table(tmp_path / "weights.csv", str)
    head, *rows = path.read_text().splitlines()
    late = [f"{1000 * float(row.split(',')[0])},{row.split(',', 1)[1]}" for row in rows]
    path.write_text("\n".join([head.replace("time", "timestamp"), *late]))
    assert read_one(path).fps == 30


def test_arrays_take_the_rate_from_the_recording_or_from_fps(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", WEIGHTS)
    with pytest.raises(UserError, match="nothing tells its frames per second"):
        read_one(tmp_path / "a.npy")
    assert read_one(tmp_path / "a.npy", fps=29.97).fps == pytest.approx(30_000 / 1001)
    soundfile.write(tmp_path / "a.wav", SPOKEN.samples, SPOKEN.samplerate)
    assert read_one(tmp_path / "a.npy").fps == 30
    np.savez(tmp_path / "b.npz", weights=WEIGHTS[:, ::-1], names=np.array(ARKIT_NAMES[::-1], "S"), fps=60.0)
    take = read_one(tmp_path / "b.npz")
    np.testing.assert_array_equal(take.weights, WEIGHTS)
    assert take.fps == 60


def test_a_take_of_live_link_face_is_understood_too(tmp_path: Path) -> None:
    take = read_one(write_take(tmp_path, "slate", SPOKEN))
    np.testing.assert_allclose(take.weights, WEIGHTS, atol=1e-6)
    assert take.audio == tmp_path / "slate.wav"


def test_a_stated_rate_that_differs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its times tell 30 frames per second, not 60"):
        read_one(as_json(tmp_path / "a.json"), fps=60.0)


def bad_matrix(folder: Path) -> Path:
    path = as_json(folder / "a.json")
    document = json.loads(path.read_text())
    document["weightMat"][3] = document["weightMat"][3][:10]
    path.write_text(json.dumps(document))
    return path


def other_json(folder: Path) -> Path:
    path = folder / "a.json"
    path.write_text('{"frames": []}')
    return path


def cut_json(folder: Path) -> Path:
    path = as_json(folder / "a.json")
    path.write_text(path.read_text()[:-300])
    return path


def wrong_width(folder: Path) -> Path:
    np.save(folder / "a.npy", WEIGHTS[:, :51])
    return folder / "a.npy"


def not_finite(folder: Path) -> Path:
    weights = WEIGHTS.copy()
    weights[7, 3] = np.nan
    np.save(folder / "a.npy", weights)
    return folder / "a.npy"


def objects(folder: Path) -> Path:
    np.save(folder / "a.npy", np.array([{}]), allow_pickle=True)
    return folder / "a.npy"


def backwards(folder: Path) -> Path:
    path = as_table(folder / "a.csv", str)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *rows[:5], rows[3], *rows[5:]]))
    return path


def picture(folder: Path) -> Path:
    path = folder / "a.png"
    path.write_bytes(b"\x89PNG")
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (bad_matrix, "weightMat is no list of rows of equal length"),
        (other_json, "is no export of weights"),
        (cut_json, "a.json"),
        (wrong_width, "expected floats [frames, 52]"),
        (not_finite, "frame 7 holds NaN or infinity"),
        (objects, "Python objects"),
        (backwards, "row 7: its time does not follow that of the row before"),
        (picture, "is no table of weights"),
    ],
)
def test_bad_files_are_one_clear_error(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_one(make(tmp_path), fps=30.0)
    assert message in str(caught.value)


def test_the_projects_own_table_comes_back(tmp_path: Path) -> None:
    rig = open_rig("example")
    count = len(WEIGHTS)
    animation = Animation(
        actor="ada",
        fps=60.0,
        skin=Surface(rig.neutral, np.broadcast_to(rig.neutral, (count, *rig.neutral.shape))),
        tongue=None,
        jaw=rig.jaw(WEIGHTS),
        eyes=np.zeros((count, 4), np.float32),
        emotion=np.zeros((count, 0), np.float32),
        skin_weights=rig.weights(WEIGHTS),
    )
    (table,) = write_table(animation, tmp_path, "a")
    take = read_one(table)
    np.testing.assert_allclose(take.weights, WEIGHTS, atol=1e-5)
    assert take.fps == 60
