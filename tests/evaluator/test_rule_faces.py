"""The face without any recording as a baseline of evaluations."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from audio2face.dataset import ActorDataset
from audio2face.evaluate.regions import Regions
from audio2face.evaluator.rule_faces import RuleFace
from audio2face.evaluator.shots import EvaluationShot
from audio2face.evaluator.tasks import opening_record
from audio2face.model_folder import BlendshapeSet
from audio2face.rigs import Rig, RigOptions, RigPipeline, open_rig
from audio2face.types import MM_PER_CM

SPEECH = Path(__file__).parents[1] / "data/espeak/de_high.wav"
FPS, FRAMES = 25.0, 40


@pytest.fixture(scope="module")
def head() -> Rig:
    return open_rig("example")


def shot(start: float = 0.0) -> EvaluationShot:
    actor = cast(ActorDataset, SimpleNamespace(actor="ada", fps=FPS))
    return EvaluationShot(
        name="s",
        shot="s",
        emotion="joy",
        voice="ada",
        audio=SPEECH,
        audio_start=start,
        num_frames=FRAMES,
        dataset=actor,
    )


def shapes(names: tuple[str, ...], deltas: np.ndarray) -> BlendshapeSet:
    stored = SimpleNamespace(names=names, deltas=deltas, archive=SimpleNamespace(path=Path("bs_skin.npz")))
    return cast(BlendshapeSet, cast(Any, stored))


def gap(skin: np.ndarray, head: Rig) -> np.ndarray:
    """Opening between the marked lips above neutral, mm."""
    upper, lower = head.lips
    heights = skin[:, upper, 1] - skin[:, lower, 1]
    return MM_PER_CM * (heights - (head.neutral[upper, 1] - head.neutral[lower, 1])).mean(axis=1)


def test_an_actor_with_the_shapes_of_the_built_in_head_speaks_like_it(head: Rig, tmp_path: Path) -> None:
    """Shapes under other spellings and in another order; and the same by the pipeline of `--rig`."""
    regions = Regions.build(head.neutral, head.lips.astype(np.int64))
    names = tuple(f"face.{name}" for name in reversed(head.pose_names))
    face = RuleFace("ada", regions, shapes(names, head.deltas[::-1]))
    assert face.has_shapes
    blocks = list(face.animate(shot()))
    assert [len(block) for block in blocks] == [32, 8]
    skin = np.concatenate([block.skin for block in blocks])
    opening = face.opening(shot())
    np.testing.assert_allclose(gap(skin, head), opening, atol=2e-4)
    assert opening.max() > 4
    # The pipeline's frame i is at i / fps: at twice the rate every other frame is at the middle of a recorded one.
    animation = RigPipeline(head, RigOptions(fps=Fraction(50), blinks=False)).animate(SPEECH, tmp_path)
    spoken = np.concatenate(list(animation.skin.blocks()))[1 : 2 * FRAMES : 2]
    assert np.corrcoef(gap(spoken, head), opening)[0, 1] > 0.98  # the pipeline encodes the whole recording


def test_a_shot_within_a_recording_is_at_its_time(head: Rig) -> None:
    face = RuleFace("ada", Regions.build(head.neutral, head.lips.astype(np.int64)), None)
    early, late = face.opening(shot()), face.opening(shot(0.8))
    np.testing.assert_allclose(late[: FRAMES - 20], early[20:], atol=0.6)
    assert np.abs(late[: FRAMES - 20] - early[: FRAMES - 20]).max() > 3


def test_an_actor_without_shapes_of_arkit_gives_only_the_course_of_an_opening(head: Rig) -> None:
    regions = Regions.build(head.neutral, head.lips.astype(np.int64))
    own = shapes(("smirk", "pout"), head.deltas[:2])
    assert not RuleFace("ada", regions, None).has_shapes
    assert not RuleFace("ada", regions, own).has_shapes
    opening = np.sin(np.arange(90) / 4)
    record = opening_record(0.3 * opening, opening, 30.0)
    assert record["values"]["lip_distance_correlation"] == pytest.approx(1)
    assert record["values"]["lip_lag"] == pytest.approx(0, abs=0.5)
    assert set(record["values"]) == {"lip_distance_correlation", "lip_lag"}
    assert opening_record(np.zeros(90), opening, 30.0)["values"] == {}
