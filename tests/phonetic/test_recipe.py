"""The recipe of a2f-phonetic: texts, sounds, augmentation and training are the same in every run, and what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audio2face.errors import UserError
from audio2face.phonetic.classes import SILENT, SOUNDS, VISEME_CHANNELS
from audio2face.phonetic.network import read_weights
from tools.labelled_speech import SPEAKERS, Part, log_mel, make_part, plan, utterances
from tools.mel_augmentation import Augmentation, frequency_warps
from tools.speech_texts import languages, text_in
from tools.train_phonetic_encoder import SHARES, STEPS_PER_ITEM, Batches, Speech, halfway, save_weights, score, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds that are no speech, in the place of all kinds of speech."""
    made = tmp_path_factory.mktemp("speech")
    for number, kind in enumerate(SHARES):
        make_part(Part(made / f"{kind}_000.npz", "other", 12.0, (0, number, 0)))
    return made


def test_a_part_is_the_same_in_every_run(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.npz"
    seconds = make_part(Part(again, "other", 12.0, (0, list(SHARES).index("other"), 0)))
    assert again.read_bytes() == (folder / "other_000.npz").read_bytes() != (folder / "formant_000.npz").read_bytes()
    speech = Speech.read(folder, "other")
    steps = len(speech.classes)
    assert 12 <= seconds == steps / 50 < 12 + 9
    assert (speech.mel.shape, speech.channels.shape) == ((2 * steps, 80), (steps, len(VISEME_CHANNELS)))
    assert speech.lengths.sum() == steps
    assert set(speech.classes[:, 6].tolist()) == {SOUNDS.index(SILENT)}


def test_the_hours_are_divided_into_parts_of_their_own_seeds(tmp_path: Path) -> None:
    parts = plan(tmp_path, 7, {"formant": 1_250.0, "other": 30.0})
    assert [(part.path.name, part.seconds, part.seed) for part in parts] == [
        ("other_000.npz", 30.0, (7, 1, 0)),  # the slower kind comes first
        ("formant_000.npz", 600.0, (7, 0, 0)),
        ("formant_001.npz", 600.0, (7, 0, 1)),
        ("formant_002.npz", 50.0, (7, 0, 2)),
    ]


def test_every_language_has_texts_in_its_own_letters() -> None:
    assert len(set(languages())) >= 30
    texts = {language: text_in(language, np.random.default_rng(3)) for language in set(languages())}
    assert len(set(texts.values())) == len(texts) - 4  # five accents of English
    for language, first, last in (("ko", "가", "힣"), ("ja", "ぁ", "ー"), ("ru", "а", "я"), ("hi", "ऀ", "ॿ")):
        assert all(first <= letter <= last for letter in texts[language] if letter not in " ,ё"), language
    assert text_in("de", np.random.default_rng(1)) == text_in("de", np.random.default_rng(1))


def test_utterances_that_cannot_be_labelled_are_left_out() -> None:
    other = SPEAKERS["other"]()
    calls = iter(range(100))

    def speak(rng: np.random.Generator):  # type: ignore[no-untyped-def]
        if next(calls) % 2 == 0:
            raise UserError("the voice switches its language")
        return other(rng)

    found = utterances(speak, np.random.default_rng(0))
    assert len({next(found)[0].samples[:100].tobytes() for _ in range(3)}) == 3
    assert next(calls) == 6


def test_speech_is_kept_at_one_level() -> None:
    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    np.testing.assert_allclose(log_mel(samples), log_mel(0.01 * samples), atol=0.02)


def test_augmentation_is_seeded_and_keeps_the_shape() -> None:
    mel = torch.randn(4, 120, 80, generator=torch.Generator().manual_seed(0)) - 5
    one, other = Augmentation(3), Augmentation(3)
    first = one(mel)
    assert torch.equal(first, other(mel))
    assert first.shape == mel.shape
    assert first.isfinite().all()
    assert not torch.equal(one(mel), first)
    warps = frequency_warps()
    np.testing.assert_allclose(warps[len(warps) // 2], np.eye(80), atol=1e-6)
    np.testing.assert_allclose(warps.sum(1), 1, atol=1e-6)
    peak = np.zeros(80, np.float32)
    peak[40] = 1
    assert int((peak @ warps[0]).argmax()) > 40 > int((peak @ warps[-1]).argmax())


def test_a_sound_in_a_pause_makes_what_follows_later_and_no_label_wrong(folder: Path) -> None:
    """The mel bands of each step tell its number, so that they can be compared with the labels."""
    steps = np.arange(STEPS_PER_ITEM)
    mel = np.repeat(20.0 + steps, 2)[:, None] * np.ones((1, 80), np.float32)  # louder than all that is put in
    mel = np.concatenate([mel, mel[-4:]]).astype(np.float32)
    classes = np.repeat((1 + steps % 5)[:, None], 7, axis=1).astype(np.uint8)
    classes[60:70] = 0
    batches = Batches(folder, 3)
    for _ in range(10):
        channels = steps[:, None].astype(np.float32)
        mixed, labels, moved = batches._interrupted(mel, classes, np.repeat(channels, len(VISEME_CHANNELS), axis=1))
        assert (mixed.shape, labels.shape) == (mel.shape, classes.shape)
        number = np.round(mixed[: 2 * STEPS_PER_ITEM : 2, 0] - 20)
        spoken = labels[:, 0] > 0
        assert np.array_equal(labels[spoken, 0], 1 + number[spoken] % 5)
        assert np.array_equal(moved[spoken, 0], number[spoken])
        after = np.flatnonzero(number >= 70)
        assert len(after) == 0 or 8 <= after[0] - 70 < 100
        assert (~spoken).sum() >= 18
    full = np.ones_like(classes)
    assert batches._interrupted(mel, full, moved)[0] is mel  # there is no pause


@pytest.mark.parametrize("causal", [True, False])
def test_training_is_the_same_in_every_run(folder: Path, tmp_path: Path, causal: bool) -> None:
    torch.set_num_threads(1)
    results = []
    for run in range(2):
        *_, (step, loss, network) = train(Batches(folder, 5), 2, 5, causal)
        path = tmp_path / f"{run}.safetensors"
        save_weights(network, path, {"steps": "2"})
        results.append((step, loss, path.read_bytes()))
    assert results[0] == results[1]
    assert results[0][0] == 2
    found = read_weights(tmp_path / "0.safetensors")
    assert found.keys() == network.state_dict().keys()
    assert 0 <= score(network, Speech.read(folder, "other"))["manner"] <= 1


def test_a_network_that_continues_ends_half_way_to_its_start(folder: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    path = tmp_path / "start.safetensors"
    *_, (_, _, network) = train(Batches(folder, 5), 1, 5, True)
    save_weights(network, path, {})
    before = read_weights(path)
    *_, (_, _, network) = train(Batches(folder, 6), 1, 6, True, path)
    after = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    assert 0 < max(np.abs(after[name] - before[name]).max() for name in before) < 0.01  # one small step from the start
    for name, value in halfway(network, path).state_dict().items():
        np.testing.assert_allclose(value.numpy(), (before[name] + after[name]) / 2, atol=1e-7)
