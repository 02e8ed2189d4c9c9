"""Recorded faces that cannot be compared are refused with their file; what a folder of recordings should tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.evaluator.prepare import check_same_face
from audio2face.evaluator.run import file_names
from audio2face.evaluator.shots import EvaluationShot, GroundTruth
from audio2face.types import Float32Array

VERTS, FRAMES = 6, 12


def shot_of(folder: Path, skin: Float32Array, jaw_points: int = 4) -> EvaluationShot:
    """A shot of an actor whose jaw has four key points."""
    (folder / "skin/s").mkdir(parents=True)
    np.save(folder / "skin/s/s.npy", skin)
    np.save(folder / "jaw.npy", np.zeros((4, 3), np.float32))
    np.savez(folder / "jaw.npz", s=np.zeros((FRAMES, jaw_points, 3), np.float32))
    paths = {
        "AUDIO_ROOT": folder / "audio",
        "SKIN_CACHE_ROOT": folder / "skin",
        "JAW_KEYPOINTS_NEUTRAL_FPATH": folder / "jaw.npy",
        "JAW_ANIM_DATA_FPATH": folder / "jaw.npz",
    }
    dataset = ActorDataset(actor="ann", fps=30, paths=paths, emotion_names=("neutral",), emotion_overrides={})
    return EvaluationShot(
        name="s", shot="s", emotion="neutral", voice="ann", audio=folder / "s.wav", num_frames=FRAMES, dataset=dataset
    )


def broken(frame: int) -> Float32Array:
    skin = np.zeros((FRAMES, VERTS, 3), np.float32)
    skin[frame, 2] = np.nan
    return skin


@pytest.mark.parametrize(
    ("skin", "jaw_points", "file", "problem"),
    [
        (np.zeros((FRAMES, 5, 3), np.float32), 4, "s.npy", "has 5 vertices, that of actor 'ann' has 6"),
        (np.zeros((FRAMES - 2, VERTS, 3), np.float32), 4, "s.npy", "has 10 frames, expected 12 at least"),
        (broken(7), 4, "s.npy", "is NaN or infinite in frame 7"),
        (np.zeros((FRAMES, VERTS, 3), np.float32), 3, "jaw.npz", "has 3 key points, that of the actor 4"),
    ],
)
def test_a_recorded_face_that_cannot_be_compared(
    skin: Float32Array, jaw_points: int, file: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        truth = GroundTruth(shot_of(tmp_path, skin, jaw_points), VERTS)
        for start in range(0, FRAMES, 5):
            truth.read(start, min(start + 5, FRAMES))
    assert problem in caught.value.problem
    assert caught.value.path is not None
    assert Path(caught.value.path).name == file


def test_scores_are_kept_for_the_same_motion_only(tmp_path: Path) -> None:
    shot = shot_of(tmp_path, np.zeros((FRAMES, VERTS, 3), np.float32))
    shot.audio.write_bytes(b"sound")
    changes: list[Callable[[], object]] = [
        lambda: shot.audio.write_bytes(b"other"),
        lambda: np.savez(tmp_path / "jaw.npz", s=np.ones((FRAMES, 4, 3), np.float32)),
        lambda: np.save(tmp_path / "skin/s/s.npy", np.ones((FRAMES + 1, VERTS, 3), np.float32)),
    ]
    for change in changes:
        before = shot.fingerprint()
        assert shot.fingerprint() == before
        change()
        assert shot.fingerprint() != before


def prepared(name: str, actor: str, verts: int) -> Any:
    deployed = SimpleNamespace(
        neutral_skin=np.zeros((verts, 3)), neutral_tongue=np.zeros((3, 3)), array=lambda _name: np.zeros((5, 3))
    )
    model = SimpleNamespace(info=SimpleNamespace(identities=[actor]), actor=lambda _name: deployed)
    return SimpleNamespace(name=name, model=model)


def test_runs_of_other_faces_are_not_compared() -> None:
    first = prepared("first", "ann", 6)
    check_same_face([first, prepared("second", "ann", 6)], ["ann"])
    with pytest.raises(UserError, match="training run second has no actor 'ann'"):
        check_same_face([first, prepared("second", "bob", 6)], ["ann"])
    with pytest.raises(UserError, match="in training run second has other vertices"):
        check_same_face([first, prepared("second", "ann", 7)], ["ann"])


def test_every_recording_has_a_file_of_its_own() -> None:
    recordings = ["ann b_s1", "ann_b s1", "ANN_B_S1", "?!", "語" * 200, "s1 (bob) [0, 9]"]
    names = file_names(recordings)
    assert names["s1 (bob) [0, 9]"] == "s1_bob_0_9"
    assert len({name.casefold() for name in names.values()}) == len(recordings)
    assert max(len(name.encode()) for name in names.values()) < 200
