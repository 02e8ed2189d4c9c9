"""The validation split: named or random shots, without the only one of an emotion, actor or language."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio2face.training.data.clips import TrainingClip, TrainingShot, choose_shots, shot_id

ACTORS = ("ann", "bob")
# Of each shot: actor, emotion, and the language of one or two clips.
SHOTS = st.lists(
    st.tuples(
        st.sampled_from(ACTORS),
        st.sampled_from(["neutral", "joy", "anger", "fear"]),
        st.lists(st.sampled_from(["en", "zh"]), min_size=1, max_size=2),
    ),
    min_size=1,
    max_size=40,
)


def clips_of(rows: list[tuple[str, str, list[str]]]) -> list[TrainingClip]:
    clips = []
    for number, (actor, emotion, languages) in enumerate(rows):
        name = f"s{number:02d}_{emotion}"
        shot = TrainingShot(shot_id(actor, name, len(ACTORS)), actor, name, 60, 30.0, emotion, 60 * number)
        clips += [TrainingClip(shot, 0, 59, actor, language, Path(f"{name}.wav")) for language in languages]
    return clips


def chosen_of(
    clips: list[TrainingClip], fraction: float, seed: int, named: dict[str, list[str]] | None = None
) -> set[str]:
    by_id = {clip.shot.id: clip.shot for clip in clips}
    return set(choose_shots(clips, by_id, named or {}, fraction, seed, ACTORS))


def kinds(clips: list[TrainingClip]) -> set[tuple[str, str]]:
    return {
        kind
        for clip in clips
        for kind in (("actor", clip.shot.actor), ("emotion", clip.shot.emotion), ("language", clip.language))
    }


@given(rows=SHOTS, fraction=st.floats(0, 1), seed=st.integers(0, 99))
def test_every_emotion_actor_and_language_stays_in_training(
    rows: list[tuple[str, str, list[str]]], fraction: float, seed: int
) -> None:
    clips = clips_of(rows)
    held_out = chosen_of(clips, fraction, seed)
    training = [clip for clip in clips if clip.shot.id not in held_out]
    assert kinds(training) == kinds(clips)
    counts = [len({clip.shot.id for clip in clips if clip.shot.actor == actor}) for actor in ACTORS]
    assert len(held_out) <= sum(max(round(fraction * count), count >= 10) for count in counts)
    assert held_out == chosen_of(clips[::-1], fraction, seed)


@given(seed=st.integers(0, 99))
def test_data_with_enough_shots_give_exactly_the_drawn_fraction(seed: int) -> None:
    """Nothing is in the way: the shots are those that the seed draws."""
    clips = clips_of([("ann", "joy", ["en"])] * 40 + [("bob", "joy", ["en"])])
    names = sorted({clip.shot.id for clip in clips if clip.shot.actor == "ann"})
    drawn = np.random.default_rng([seed, 0]).permutation(40)[:4]
    assert chosen_of(clips, 0.1, seed) == {names[index] for index in drawn}


def test_shots_that_training_needs_are_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clips = clips_of([("ann", "neutral", ["en"]), ("ann", "joy", ["en"]), ("ann", "neutral", ["zh"])])
    with caplog.at_level(logging.INFO, "audio2face"):
        assert chosen_of(clips, 1.0, 3) == {"ann::s00_neutral"}
    assert "1 of the 3 shots of VALIDATION_FRACTION" in caplog.text
    assert "ann::s01_joy (only one of emotion 'joy'" in caplog.text
    assert "ann::s02_neutral (only one of" in caplog.text
    assert "language 'zh'" in caplog.text


def test_validation_avoids_the_only_emotion_of_an_actor() -> None:
    rows = [("ann", emotion, ["en"]) for emotion in ("joy", "joy", "anger")] + [("bob", "anger", ["en"])] * 3
    for seed in range(20):
        assert chosen_of(clips_of(rows), 0.34, seed) & {"ann::s00_joy", "ann::s01_joy"}


@pytest.mark.parametrize(("names", "lost"), [(["s01_joy"], "emotion 'joy'"), (["s00_neutral"], None)])
def test_named_shots_are_held_out_with_a_warning(
    names: list[str], lost: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    clips = clips_of([("ann", "neutral", ["en"]), ("ann", "joy", ["en"]), ("ann", "neutral", ["en"])])
    with caplog.at_level(logging.WARNING, "audio2face"):
        assert chosen_of(clips, 0.0, 0, {"ann": names}) == {f"ann::{name}" for name in names}
    assert [lost in message for message in caplog.messages if lost] == ([True] if lost else [])
    assert bool(caplog.messages) == bool(lost)
