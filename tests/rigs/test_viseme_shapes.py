"""Characters whose mouths have visemes in place of ARKit's shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from characters import viseme_builder
from spoken import SAMPLERATE, phones_of, sound_of, source_of

from audio2face.rigs import RIG_EMOTIONS, RigOptions, RigPipeline, open_rig
from audio2face.rigs.viseme_shapes import find_visemes

SOUNDS = "pfθtkʃsnɹɑɛiɔu"
OCULUS = ("PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U")
VRM = ("Fcl_MTH_A", "Fcl_MTH_I", "Fcl_MTH_U", "Fcl_MTH_E", "Fcl_MTH_O")


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ([f"viseme_{name}" for name in OCULUS], 14),
        (["viseme_sil", "viseme_aa", "viseme_E", "viseme_ih", "viseme_oh", "viseme_ou", "viseme_PP"], 6),
        ([f"vrc.v_{name.lower()}" for name in ("PP", "aa", "E", "ih", "oh", "ou")], 6),
        ([*VRM, "Fcl_ALL_Joy"], 5),
        (["aa", "ih", "ou", "ee", "oh", "blink"], 5),
        (["A", "I", "U", "E", "O"], 5),
        (["A", "B", "Key 1"], None),
        (["jawOpen"], None),
    ],
)
def test_sets_are_recognised(names: list[str], count: int | None) -> None:
    found = find_visemes(names)
    assert (None if found is None else len(found.poses)) == count


def test_the_look_of_a_viseme_is_mostly_that_viseme() -> None:
    found = find_visemes([f"viseme_{name}" for name in OCULUS])
    assert found is not None
    mixed = found.mix(found.targets.astype(np.float32))
    np.testing.assert_allclose(mixed @ found.targets, found.targets, atol=0.07)
    assert (mixed.argmax(axis=1) == np.arange(len(mixed))).sum() >= 12  # t, k and n look alike
    assert not found.mix(np.zeros((1, 52), np.float32)).any()
    assert found.mix(np.full((1, 52), 9, np.float32)).max() <= 1


def test_a_character_speaks_with_them_and_blinks(tmp_path: Path) -> None:
    names = [f"viseme_{name}" for name in OCULUS]
    rig = open_rig(viseme_builder(names, SOUNDS, eyesClosed="eyeBlinkLeft").glb(tmp_path / "x.glb"))
    assert rig.pose_names == ("eyesClosed", *names)
    assert rig.lips.shape[1] >= 3
    phones = phones_of(" ɑmɑpɑuɑ   ")
    times = np.arange(int(phones[-1].end * 30)) / 30
    pipeline = RigPipeline(rig, RigOptions(), source_of(phones))
    still = np.zeros((len(times), len(RIG_EMOTIONS)), np.float32)
    driven = dict(zip(rig.pose_names, rig.drive(pipeline.weights(sound_of(phones), times, still)[0]).T, strict=True))
    assert len(sound_of(phones)) / SAMPLERATE == pytest.approx(phones[-1].end)
    for sound, pose, other in (("p", "viseme_PP", "viseme_aa"), ("u", "viseme_U", "viseme_PP")):
        (phone,) = (phone for phone in phones if phone.symbol == sound)
        middle = round((phone.start + phone.end) / 2 * 30)
        assert driven[pose][middle] > 0.4
        assert driven[pose][middle] > 2 * driven[other][middle]
    assert driven["viseme_aa"].max() > 0.4
    assert driven["eyesClosed"].max() > 0.9
