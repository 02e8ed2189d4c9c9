"""Recordings of shots in formats other than WAV: found, warned of once where lossy, refused where there are two."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from raw_datasets import Open

from audio2face.dataset.checks import check_actor
from audio2face.errors import UserError


def rewrite(path: Path, suffix: str) -> Path:
    """Another format in place of a WAV file."""
    samples, rate = soundfile.read(path)
    target = path.with_suffix(suffix)
    soundfile.write(target, samples, rate)
    path.unlink()
    return target


@pytest.mark.parametrize(("suffixes", "is_lossy"), [((".flac", ".FLAC"), False), ((".ogg", ".mp3"), True)])
def test_any_format_of_a_recording_serves(
    dataset: Path, open_actor: Open, suffixes: tuple[str, str], is_lossy: bool
) -> None:
    written = [rewrite(dataset / "audio" / f"{shot}.wav", suffixes[0]) for shot in ("s1_neutral", "s2_joy")]
    written[1] = written[1].rename(written[1].with_suffix(suffixes[1]) if not is_lossy else written[1])
    voice = rewrite(dataset / "audio" / "aug" / "v1" / "s2_joy.wav", suffixes[0])
    actor = open_actor(dataset)
    assert [actor.shot(name).audio for name in ("s1_neutral", "s2_joy")] == written
    assert actor.audio_path("s3_anger").name == "s3_anger.wav"
    assert actor.augmented_voices == {"v1": {"s2_joy": voice}}
    assert set(actor.unusual_recordings.values()) == {
        written[0].name,
        written[1].name,
        f"aug/v1/s2_joy{suffixes[0]}",
    }
    report = check_actor(actor)
    assert not report.errors
    warned = [finding.message for finding in report.findings if finding.code == "audio-lossy"]
    assert len(warned) == int(is_lossy)
    assert not warned or "2 of " in warned[0]


def test_two_recordings_of_a_shot_are_an_error_that_names_both(dataset: Path, open_actor: Open) -> None:
    samples, rate = soundfile.read(dataset / "audio" / "s2_joy.wav")
    soundfile.write(dataset / "audio" / "s2_joy.flac", samples, rate)
    soundfile.write(dataset / "audio" / "aug" / "v1" / "s2_joy.ogg", samples, rate)
    actor = open_actor(dataset)
    with pytest.raises(UserError, match=r"has 2 recordings: s2_joy\.flac, s2_joy\.wav"):
        actor.shot("s2_joy")
    errors = check_actor(actor).errors
    assert [finding.code for finding in errors] == ["audio-several", "audio-several"]
    assert "s2_joy.ogg, s2_joy.wav" in errors[1].message or "s2_joy.ogg, s2_joy.wav" in errors[0].message


def test_a_film_that_belongs_to_no_shot_is_named(dataset: Path, open_actor: Open) -> None:
    (dataset / "audio" / "witness.MOV").write_bytes(b"film")
    (dataset / "audio" / "notes.txt").write_text("notes")
    findings = check_actor(open_actor(dataset)).findings
    assert [finding.message for finding in findings if finding.code == "audio-unused"] == [
        "belongs to no shot: 'witness.MOV'"
    ]
