"""Phones over time: spellings, tables, the windows around frames, and the recogniser that comes in a package."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio2face.audio import resample_hann
from audio2face.example.recording import all_takes
from audio2face.example.speech import SAMPLE_RATE, VOICES, Speaker
from audio2face.models.phonemes import (
    ENGLISH,
    SILENCE,
    WINDOW_ROWS,
    PhoneSet,
    PocketSphinx,
    Span,
    phones_of,
    plain_symbol,
    resample_rows,
    row_count,
    spans_to_rows,
    window_rows,
)


@pytest.mark.parametrize(
    ("written", "phone"),
    [("AH0", "AH"), ("aɪ", "AY"), ("uː", "UW"), ("t͡ʃ", "CH"), ("b", "B"), ("ˈɹ", "R"), ("e", "EH"), ("ng", "NG")],
)
def test_english_in_one_spelling_or_another(written: str, phone: str) -> None:
    assert plain_symbol(written, "en") == phone


def test_silence_and_other_languages() -> None:
    assert {plain_symbol(symbol, "zh") for symbol in ("SIL", "sp", "[SIL]", " ")} == {SILENCE}
    assert plain_symbol("ai4", "zh") == "ai4"
    assert phones_of(["x", "sil", "ai4", "x"], "zh") == PhoneSet((SILENCE, "ai4", "x"))
    assert phones_of(["AA"], "en") == ENGLISH
    assert len(ENGLISH) == 40
    with pytest.raises(ValueError, match="distinct"):
        PhoneSet(("AA", "B"))


@given(st.lists(st.floats(-2, 8), min_size=1, max_size=20), st.integers(1, 300))
def test_window_follows_the_formula(times: list[float], rows: int) -> None:
    found = window_rows(np.array(times), rows)
    assert found.shape == (len(times), WINDOW_ROWS)
    for time, window in zip(times, found, strict=True):
        centre = int(np.floor(time * (rows / (rows / 50 + 0.02))))
        for place, row in enumerate(window, centre - 12):
            assert row == (place if 0 <= place < rows else -1)


def test_windows_of_recordings_of_different_lengths() -> None:
    times = np.array([[0.5, 0.52], [0.5, 0.52], [3.0, 3.0]])
    found = window_rows(times, np.array([[49, 49], [99, 99], [0, 0]]))
    for item, rows in enumerate((49, 99)):
        np.testing.assert_array_equal(found[item], window_rows(times[item], rows))
    assert (found[2] == -1).all()


def test_given_times_are_exact_rows() -> None:
    phones = PhoneSet((SILENCE, "a", "b"))
    spans = [Span("b", 0.5, 0.7), Span("a", 0.1, 0.3)]
    table = spans_to_rows(spans, 1.0, phones)
    assert table.dtype == np.float32
    assert len(table) == row_count(1.0) == 49
    assert (table.sum(axis=1) == 1).all()
    # The row that the window of a frame has in its middle is the phone that sounds then, up to one row's length.
    for time in np.arange(0.005, 1, 0.01):
        if min(abs(time - edge) for edge in (0.1, 0.3, 0.5, 0.7)) > 0.0101:
            expected = "a" if 0.1 < time < 0.3 else "b" if 0.5 < time < 0.7 else SILENCE
            assert table[window_rows(time, 49)[12]].argmax() == phones.column[expected]
    assert (spans_to_rows([], 0.001, phones) == [[1, 0, 0]]).all()


def test_rows_are_skipped_by_whole_factors() -> None:
    table = np.arange(10, dtype=np.float32).reshape(5, 2)
    np.testing.assert_array_equal(resample_rows(table, 100), table[[0, 2, 4]])
    np.testing.assert_array_equal(resample_rows(table, 50), table)
    with pytest.raises(ValueError, match="75"):
        resample_rows(table, 75)


@pytest.fixture(scope="module")
def sentence() -> tuple[np.ndarray, str, np.ndarray]:
    """Speech whose phones are known: samples, words, and the true table."""
    take = all_takes()[0]
    utterance = Speaker().synthesise(take.sentence, VOICES["ada"], take.seed)
    spans = [Span(plain_symbol(phone.symbol, "en"), phone.start, phone.end) for phone in utterance.phones]
    samples = resample_hann(utterance.samples, SAMPLE_RATE, 16_000)
    return samples, take.sentence.text, spans_to_rows(spans, len(samples) / 16_000, ENGLISH)


def agreement(found: np.ndarray, true: np.ndarray) -> float:
    assert found.shape == true.shape
    assert (found.sum(axis=1) == 1).all()
    return float((found.argmax(axis=1) == true.argmax(axis=1)).mean())


def test_pocketsphinx_names_the_phones_of_a_sentence(sentence: tuple[np.ndarray, str, np.ndarray]) -> None:
    samples, text, true = sentence
    detector = PocketSphinx()
    free, aligned = detector.detect(samples, None), detector.detect(samples, text)
    assert agreement(aligned, true) > 0.75
    assert agreement(aligned, true) > agreement(free, true) > 0.55
    np.testing.assert_array_equal(detector.detect(samples, None), free)  # independent of earlier calls
    np.testing.assert_array_equal(detector.detect(0.1 * samples, text), aligned)


def test_pocketsphinx_and_text_that_does_not_help(
    sentence: tuple[np.ndarray, str, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    samples, text, true = sentence
    detector = PocketSphinx()
    assert agreement(detector.detect(samples, f"{text} Xyzzyx"), true) > 0.7
    assert "missing in the dictionary and skipped: xyzzyx" in caplog.text
    short = samples[16_000:19_200]
    np.testing.assert_array_equal(detector.detect(short, text), detector.detect(short, None))
    assert "does not fit the recording" in caplog.text
    silence = detector.detect(np.zeros(16_000, np.float32), None)
    assert (silence.argmax(axis=1) == ENGLISH.silence).all()
