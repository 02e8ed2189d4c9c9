"""The command `import`: takes become a data set that all stages read, what comes back, and what a second call does."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from example_performances import performed
from live_link_takes import Spoken, babble, changed, write_take

from audio2face.audio import read_track
from audio2face.cli import import_data
from audio2face.config import load
from audio2face.dataset import ActorDataset
from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.dataset.checks import check_actor
from audio2face.errors import UserError
from audio2face.example.head import Head
from audio2face.importers.kinds import KINDS
from audio2face.importers.recordings import sound_range
from audio2face.importers.sync import find_offsets, shifted
from audio2face.importers.take import Take


def imported(*words: str | Path) -> ActorDataset:
    """Runs the command and opens what it wrote, through the configuration that it wrote."""
    assert import_data.main([*map(str, words), "--name", "mary"]) == 0
    return opened()


def opened() -> ActorDataset:
    return ActorDataset.open("mary", load("mary", stage="check").dataset)


def test_parser_and_table_name_the_same_kinds() -> None:
    from audio2face.cli.parsers import IMPORT_KINDS

    assert dict(IMPORT_KINDS) == {name: kind.summary for name, kind in KINDS.items()}


def test_the_example_actor_comes_back(tmp_path: Path, home: Path) -> None:
    """A sentence, exported as a take and imported: meshes within 0.01 mm, sound in step to a sample."""
    spoken = performed()
    write_take(tmp_path / "takes", "ada_joy", spoken)
    dataset = imported("livelink", tmp_path / "takes")
    assert dataset.shot_names == ("ada_joy_001",)
    shot, head = dataset.shot("ada_joy_001"), Head.open("ada")
    assert (shot.emotion, dataset.fps) == ("joy", 30.0)
    skin = shot.skin()
    assert skin.num_frames == len(spoken.weights)
    apart = np.linalg.norm(skin.read(0, skin.num_frames) - head.skin(spoken.weights), axis=2)
    assert apart.max() < 1e-3
    jaw = shot.jaw_deltas()
    assert jaw is not None
    np.testing.assert_allclose(jaw, head.jaw_keypoint_deltas(spoken.weights), atol=1e-4)
    eyes = shot.eye_rotations()
    assert eyes is not None
    np.testing.assert_allclose(eyes, spoken.eyes, atol=1e-3)
    written, samplerate = soundfile.read(shot.audio, dtype="float32")
    lead = round(0.5 / 30 * samplerate)  # frame 0 is at the middle of its interval
    np.testing.assert_allclose(written[:lead], 0, atol=0)
    count = min(len(written) - lead, len(spoken.samples))
    np.testing.assert_allclose(written[lead : lead + count], spoken.samples[:count], atol=2**-15)


def test_the_configuration_offers_the_shapes_as_the_basis(tmp_path: Path, home: Path) -> None:
    write_take(tmp_path / "takes", "mary", babble(2.0))
    imported("livelink", tmp_path / "takes")
    path = home / "configs/mary/config_preproc.py"
    assert load("mary", stage="preproc").preproc.SKIN_BASIS == "pca"
    path.write_text(path.read_text().replace("# SKIN_BASIS", "SKIN_BASIS"))
    assert load("mary", stage="preproc").preproc.SKIN_BASIS == "blendshapes"


def test_the_tongue_is_made_and_labelled(tmp_path: Path, home: Path) -> None:
    spoken = performed()
    write_take(tmp_path / "takes", "ada", spoken)
    dataset = imported("livelink", tmp_path / "takes")
    tongue = dataset.shot("ada_001").tongue()
    assert tongue is not None
    still = Head.open("ada").tongue(spoken.weights, np.zeros((len(spoken.weights), 16), np.float32))
    own = np.linalg.norm(tongue.read(0, tongue.num_frames) - still, axis=2).max(axis=1)
    assert own.max() > 0.2  # cm: it moves by itself
    about = (home / "datasets/mary/about.md").read_text()
    assert "the tongue: from the sounds that the encoder a2f-phonetic detects" in about


def test_the_check_finds_nothing_in_an_import(tmp_path: Path, home: Path) -> None:
    for number in range(4):
        write_take(tmp_path / "takes", f"slate_{number}", babble(6.0, seed=number))
    report = check_actor(imported("livelink", tmp_path / "takes"))
    assert [item for item in report.findings if item.severity.name == "ERROR"] == []


def test_a_long_take_is_cut_at_pauses_and_nothing_is_lost(tmp_path: Path, home: Path) -> None:
    spoken = babble(26.0)
    write_take(tmp_path / "takes", "slate", spoken)
    dataset = imported("livelink", tmp_path / "takes")
    head = Head.open("ada")
    names = dataset.shot_names
    assert 3 <= len(names) <= 6
    caches = [dataset.shot(name).skin() for name in names]
    assert sum(cache.num_frames for cache in caches) == len(spoken.weights)
    assert all(3.9 <= cache.num_frames / 30 <= 12.1 for cache in caches)
    joined = np.concatenate([cache.read(0, cache.num_frames)[:, ::400] for cache in caches])
    few = np.arange(0, len(head.skin_part.vertices), 400, dtype=np.int32)
    np.testing.assert_allclose(joined, head.skin(spoken.weights, few), atol=1e-3)
    recordings = [soundfile.info(dataset.shot(name).audio).frames for name in names]
    np.testing.assert_allclose(recordings, [cache.num_frames / 30 * 24_000 for cache in caches], atol=0.51)


def test_long_gaps_are_in_no_shot(tmp_path: Path, home: Path) -> None:
    table = write_take(tmp_path / "takes", "slate", babble(10.0))
    changed(table, lambda rows: [[row[0], "0"] if 151 <= number < 181 else row for number, row in enumerate(rows)])
    dataset = imported("livelink", tmp_path / "takes")
    assert [dataset.shot(name).skin().num_frames for name in dataset.shot_names] == [150, 120]
    assert "1.0 s in or between long gaps of tracking are left out" in (home / "datasets/mary/about.md").read_text()


def test_a_second_call_keeps_what_is_written_and_adds_takes(tmp_path: Path, home: Path) -> None:
    for name in ("a", "b"):
        write_take(tmp_path / "takes", name, babble(3.0, seed=ord(name)))
    imported("livelink", tmp_path / "takes")
    data = home / "datasets/mary"
    before = {path: path.stat().st_mtime_ns for path in data.glob("cache/skin/*/*.npy")}
    (data / "audio/b_001.wav").unlink()  # as if it had been interrupted
    write_take(tmp_path / "takes", "c", babble(3.0, seed=3))
    dataset = imported("livelink", tmp_path / "takes")
    assert dataset.shot_names == ("a_001", "b_001", "c_001")
    after = {path: path.stat().st_mtime_ns for path in before}
    kept = {path.stem for path in before if after[path] == before[path]}
    assert kept == {"a_001"}
    assert dataset.shot("c_001").jaw_deltas() is not None


def test_a_muted_shot_is_proposed_where_the_mouth_rests(tmp_path: Path, home: Path) -> None:
    spoken = babble(3.0)
    spoken.weights[:, ARKIT_INDEX["mouthSmileLeft"]] = 0.8
    spoken.weights[40:55] = 0.0
    imported("livelink", write_take(tmp_path / "takes", "a", spoken))
    (row,) = [line for line in (home / "datasets/mary/about.md").read_text().splitlines() if line.startswith("    (")]
    actor, (shot, frame), length, emotion = ast.literal_eval(row.strip().rstrip(","))
    assert (actor, shot, length, emotion) == ("mary", "a_001", 120, "neutral")
    assert 40 <= frame < 55
    (home / "configs/mary/config_train.py").write_text(
        f'RUN_NAME = "mary"\nNETWORK_TYPE = "diffusion"\nAUG_MUTED_SHOTS = [{row.strip()}]\n'
    )
    load("mary", stage="train", check_files=False)


def test_an_edited_configuration_is_kept(tmp_path: Path, home: Path) -> None:
    write_take(tmp_path / "takes", "a", babble(3.0))
    imported("livelink", tmp_path / "takes")
    path = home / "configs/mary/config_train.py"
    edited = path.read_text() + "NUM_EPOCHS = 3\n"
    path.write_text(edited)
    imported("livelink", tmp_path / "takes")
    assert path.read_text() == edited
    imported("livelink", tmp_path / "takes", "--force")
    assert path.read_text() != edited


def test_the_emotion_of_all_takes_is_in_names_and_configuration(tmp_path: Path, home: Path) -> None:
    write_take(tmp_path / "takes", "slate_joy_1", babble(3.0))
    dataset = imported("livelink", tmp_path / "takes", "--emotion", "grumpy")
    assert dataset.shot_names == ("slate__1_001_grumpy",)
    assert (dataset.emotion_names, dataset.shot(dataset.shot_names[0]).emotion) == (("grumpy",), "grumpy")


def test_a_dry_run_writes_nothing(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_take(tmp_path / "takes", "slate_joy", babble(3.0))
    assert import_data.main(["livelink", str(tmp_path / "takes"), "--name", "mary", "--dry-run"]) == 0
    assert "slate_joy" in capsys.readouterr().out
    assert not (home / "datasets").exists()
    assert list((home / "configs").iterdir()) == []


def test_the_offset_is_measured_with_its_certainty(tmp_path: Path) -> None:
    """Sound 0.6 s late, and of another speaker, in takes that are long enough to tell."""
    spoken = babble(40.0)
    late = np.concatenate([np.zeros(round(0.6 * spoken.samplerate), np.float32), spoken.samples])
    sounds = {"late": late, "other": babble(40.0, seed=9).samples}
    takes = []
    for name, samples in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, spoken.samplerate)
        lost = np.zeros(len(spoken.weights), bool)
        path = tmp_path / f"{name}.wav"
        takes.append(Take(name=name, source=path, fps=Fraction(30), lost=lost, weights=spoken.weights, audio=path))
    found = find_offsets(takes)
    assert found["late"].is_clear
    assert found["late"].seconds == pytest.approx(0.6, abs=0.06)
    assert found["other"].is_foreign
    moved = shifted(takes[0], found["late"].seconds)
    assert moved.audio_start == found["late"].seconds
    assert moved.notes[-1].startswith("moved by +0.")


def refused(*words: str | Path) -> str:
    with pytest.raises(UserError) as caught:
        import_data.main([*map(str, words), "--name", "mary"])
    return str(caught.value)


def test_bad_input_leaves_nothing(tmp_path: Path, home: Path) -> None:
    silent = write_take(tmp_path / "silent", "a", babble(2.0), with_sound=False)
    assert "no take has a recording" in refused("livelink", silent)
    for name, fps in (("a", 30.0), ("b", 60.0)):
        write_take(tmp_path / "rates", name, babble(2.0, fps), fps)
    assert "a has 30, b has 60" in refused("livelink", tmp_path / "rates")
    short = write_take(tmp_path / "short", "a", babble(8.0))
    soundfile.write(short.with_suffix(".wav"), np.zeros(2400, np.float32), 24_000)
    assert "they do not overlap" in refused("livelink", short)
    good = write_take(tmp_path / "good", "a", babble(2.0))
    assert "names no rig" in refused("livelink", good, "--rig", "nothing.xyz")
    assert not (home / "datasets").exists()


def test_a_folder_that_is_no_import_is_left_alone(tmp_path: Path, home: Path) -> None:
    table = write_take(tmp_path / "takes", "a", babble(2.0))
    other = home / "datasets/mary/notes.txt"
    other.parent.mkdir(parents=True)
    other.write_text("mine")
    assert "exists already and was not made by an import" in refused("livelink", table)
    assert [path.name for path in other.parent.iterdir()] == ["notes.txt"]


def test_a_dry_run_refuses_what_the_import_would(tmp_path: Path, home: Path) -> None:
    table = write_take(tmp_path, "a", babble(2.0), with_sound=False)
    assert "no take has a recording" in refused("livelink", table, "--dry-run")
    soundfile.write(tmp_path / "a.wav", np.full(48_000, 5e-5), 24_000, subtype="FLOAT")
    assert "a.wav: is silent" in refused("livelink", table, "--dry-run")


def test_an_import_that_stopped_in_its_first_take_goes_on(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_take(tmp_path, "a", babble(2.0))
    with monkeypatch.context() as patched:
        patched.setattr("audio2face.importers.writer.write_cache", lambda *args, **options: sys.exit(130))
        with pytest.raises(SystemExit):
            import_data.main(["livelink", str(table), "--name", "mary"])
    assert (home / "datasets/mary/audio/a_001.wav").exists()
    assert imported("livelink", table).shot_names == ("a_001",)


def test_a_damaged_record_is_named(tmp_path: Path, home: Path) -> None:
    table = write_take(tmp_path, "a", babble(2.0))
    imported("livelink", table)
    record = home / "datasets/mary/.import/record.json"
    record.write_bytes(record.read_bytes()[:100])
    assert "record.json: the record of this import is damaged" in refused("livelink", table)


def test_a_recording_of_a_part_is_said_before(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoken = babble(8.0)
    cut = Spoken(spoken.weights, spoken.eyes, spoken.samples[: 4 * spoken.samplerate])
    table = write_take(tmp_path, "a", cut)
    assert import_data.main(["livelink", str(table), "--name", "mary", "--dry-run"]) == 0
    assert "a: 4.0 of its 8.0 s have no sound and are left out" in capsys.readouterr().out


def test_another_rig_in_the_same_folder_is_refused(tmp_path: Path, home: Path) -> None:
    table = write_take(tmp_path / "takes", "a", babble(2.0))
    imported("livelink", table)
    assert "holds takes of another face" in refused("livelink", table, "--rig", "example:ben")


def test_sound_of_frames_is_exact_at_any_rate() -> None:
    """Half a frame before the first frame, to half a sample, without drift over many frames."""
    for fps in (Fraction(24_000, 1001), Fraction(30), Fraction(60_000, 1001), Fraction(120)):
        take = Take(name="a", source=Path("a"), fps=fps, lost=np.zeros(100_000, bool), audio_start=0.25)
        for first in (0, 1, 99_000):
            found = sound_range(take, first, first + 240, 48_000)
            exact = (0.25 + (first - 0.5) / fps) * 48_000
            assert abs(found.begin - exact) <= 0.5
            assert abs(found.count - 240 / fps * 48_000) <= 0.5


def test_what_the_record_holds_is_plain_json(tmp_path: Path, home: Path) -> None:
    imported("livelink", write_take(tmp_path / "takes", "a", babble(2.0)))
    record = json.loads((home / "datasets/mary/.import/record.json").read_text())
    assert (record["kind"], record["fps"], list(record["takes"])) == ("livelink", "30", ["a"])


def test_a_recording_shorter_than_its_take_ends_the_shot(tmp_path: Path, home: Path) -> None:
    spoken = babble(6.0)
    cut = Spoken(spoken.weights, spoken.eyes, spoken.samples[: 4 * spoken.samplerate])
    dataset = imported("livelink", write_take(tmp_path / "takes", "a", cut))
    shot = dataset.shot("a_001")
    assert shot.skin().num_frames == 121
    assert abs(len(read_track(shot.audio).data) / 16_000 - 121 / 30) < 1e-3
    assert "2.0 s at its ends have no sound and are left out" in (home / "datasets/mary/about.md").read_text()


def test_a_take_that_changed_is_written_again(tmp_path: Path, home: Path) -> None:
    table = write_take(tmp_path / "takes", "a", babble(21.0))
    first = imported("livelink", table).shot_names
    shutil.rmtree(tmp_path / "takes")
    second = imported("livelink", write_take(tmp_path / "takes", "a", babble(3.0))).shot_names
    assert (len(first) > 1, second) == (True, ("a_001",))
    assert [path.name for path in sorted((home / "datasets/mary/audio").iterdir())] == ["a_001.wav"]
