"""Placeholder files: each reader reports their kind and the command that fetches the real file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from raw_datasets import Open, add_shot

from audio2face.audio import read_track
from audio2face.dataset.checks import check_actor
from audio2face.dataset.phoneme_times import read_phoneme_times
from audio2face.errors import UserError
from audio2face.geometry import open_cache, write_cache
from audio2face.io.arrays import Archive, read_json, read_npy
from audio2face.models.encoders.weights import load_weights
from audio2face.placeholders import find_placeholder

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 412844\n"
STAND_INS = {
    "Git LFS": (POINTER, "git lfs pull"),
    "git-annex": ("/annex/objects/SHA256E-s412844--ab.npy\n", "git annex get"),
    "web page": ("\n<!-- login -->\n<!DOCTYPE html><html><body>Sign in</body></html>", "download the file once more"),
    "server": ('<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "download the file once more"),
    "zero bytes": ("\0" * 4096, "Always keep on this device"),
    "is empty": ("", "Always keep on this device"),
}


def read_maya_data(path: Path) -> object:
    """Opens a Maya cache whose data file is the one given."""
    text = path.read_bytes()
    write_cache(path.with_suffix(".xml"), np.zeros((2, 3, 3), np.float32), fps=30)
    path.write_bytes(text)
    return open_cache(path.with_suffix(".xml"))


READERS: dict[str, Callable[[Path], object]] = {
    "a.npy": read_npy,
    "b.npy": open_cache,
    "a.xml": open_cache,
    "a.mc": read_maya_data,
    "a.pc2": open_cache,
    "a.mdd": open_cache,
    "a.npz": Archive.open,
    "a.json": read_json,
    "a.wav": read_track,
    "a.txt": read_phoneme_times,
}


@pytest.mark.parametrize("file", READERS)
@pytest.mark.parametrize("kind", STAND_INS)
def test_every_reader_names_the_placeholder(tmp_path: Path, file: str, kind: str) -> None:
    text, advice = STAND_INS[kind]
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError) as caught:
        READERS[file](tmp_path / file)
    assert kind in caught.value.problem
    assert advice in str(caught.value.hint)


def test_files_that_are_elsewhere(tmp_path: Path) -> None:
    (tmp_path / ".a.npy.icloud").touch()
    (tmp_path / "b.npy.dvc").touch()
    (tmp_path / "c.npy").symlink_to(".git/annex/objects/xx/SHA256E-s1--ab.npy")
    for name, command in (("a.npy", "brctl download"), ("b.npy", "dvc pull"), ("c.npy", "git annex get")):
        for read in (read_npy, open_cache):
            with pytest.raises(UserError, match=command):
                read(tmp_path / name)


def test_whole_files_are_no_placeholders(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((50, 3), np.float32))
    (tmp_path / "a.json").write_text(json.dumps({"error": 1}))
    (tmp_path / "a.txt").write_text("start\tend\tphone\n")
    assert [find_placeholder(tmp_path / f"a.{suffix}") for suffix in ("npy", "json", "txt", "wav")] == [None] * 4


def test_the_check_names_them_in_a_dataset(dataset: Path, open_actor: Open) -> None:
    add_shot(dataset, "s1_neutral", "t1_neutral")
    add_shot(dataset, "s1_neutral", "t2_neutral")
    (dataset / "cache/skin/t1_neutral/t1_neutral.npy").write_text(POINTER)
    (dataset / "audio/t1_neutral.wav").write_text(POINTER)
    (dataset / "xform/eye_rotations_all.npz").write_text(POINTER)
    stub = dataset / "cache/skin/t2_neutral/t2_neutral.npy"
    stub.rename(stub.with_name(".t2_neutral.npy.icloud"))
    report = check_actor(open_actor(dataset))
    pointers = [finding.file.name for finding in report.errors if finding.file and "git lfs pull" in finding.remedy]
    assert sorted(pointers) == ["eye_rotations_all.npz", "t1_neutral.npy", "t1_neutral.wav"]
    assert any("brctl download" in finding.remedy for finding in report.errors)


def test_python_objects_are_refused_without_advice_to_load_them(tmp_path: Path) -> None:
    ragged = np.array([np.zeros(3), np.zeros(4)], dtype=object)
    np.save(tmp_path / "a.npy", ragged)
    np.savez(tmp_path / "a.npz", ragged=ragged)
    (tmp_path / "b.npy").write_bytes(b"\x80\x04K\x01.")
    torch.save({"a": Path("x")}, tmp_path / "a.bin")
    attempts: list[Callable[[], object]] = [
        lambda: read_npy(tmp_path / "a.npy"),
        lambda: open_cache(tmp_path / "a.npy"),
        lambda: read_npy(tmp_path / "b.npy"),
        lambda: open_cache(tmp_path / "b.npy"),
        lambda: Archive.open(tmp_path / "a.npz").read("ragged"),
        lambda: load_weights(torch.nn.Linear(1, 1), tmp_path / "a.bin", ""),
    ]
    for attempt in attempts:
        with pytest.raises(UserError) as caught:
            attempt()
        message = str(caught.value)
        assert not any(word in message for word in ("unsafe", "allow_pickle", "weights_only", "trust")), message
    with pytest.raises(UserError, match=r"np\.stack"):
        read_npy(tmp_path / "a.npy")
