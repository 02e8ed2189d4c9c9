"""No string of a model folder leads out of it or breaks what it is written into; no number asks for the impossible."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import DIFFUSION, REGRESSION, STREAMING, write_model

from audio2face.errors import UserError
from audio2face.model_folder import DeployedModel, lint

# None of these is a name of anything.
HOSTILE_NAMES = (
    *("..", "../evil", "../../../evil", "a/b", "/etc/passwd", "a\\b", "..\\evil", "a\0b", "a\nb", "a\rb", "\x1b[2Jx"),
    *("\ud800", "a\u202eb", "a\u2028b", "\u200b", " ", "", "a" * 101, "x" * 5000, "\x85"),
)
# Nor may these become a part of a file's name.
HOSTILE_IN_FILES = ("CON", "nul", "aux.txt", "LPT1", "ends.", ".begins", 'a"b', "a<b", "a|b", "a*b", "a?b", "a:b")
HOSTILE_PATHS = (
    *("../network_info.json", "/etc/passwd", "a/../../b", "a\\b", "C:\\b", "C:b", "a\0", "a\nb", "\ud800", "", "."),
    *("a" * 300, "/".join(["a" * 200] * 10)),
)
HOSTILE_NUMBERS: tuple[Any, ...] = (-1, 10**9, 10**30, 10**400, 1e308, float("nan"), float("inf"), True, "5", None, 0.5)


@pytest.fixture(params=[DIFFUSION, REGRESSION, STREAMING], ids=["diffusion", "regression", "streaming"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_model(tmp_path / "model", request.param)
    return tmp_path / "model"


def is_refused(folder: Path, file: str) -> bool:
    """Whether reader and lint refuse the folder, the lint for this file, in messages that are fit for a terminal."""
    errors = [fault for fault in lint(folder)[1] if fault.severity == "error"]
    if not errors:
        return False
    with pytest.raises(UserError) as caught:
        DeployedModel.open(folder)
    assert len(str(caught.value)) < 20_000
    assert str(caught.value).replace("\n", "").isprintable()
    return any(fault.file == file for fault in errors)


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    changed = json.loads(json.dumps(value))
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = new
    return changed


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to every text and number of a JSON value."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))
    else:
        yield path


def missed(folder: Path, file: str, path: tuple[Any, ...], values: tuple[Any, ...]) -> list[str]:
    """Values at a place of a JSON file that are not refused."""
    whole = (folder / file).read_text()
    found = []
    for value in values:
        (folder / file).write_text(json.dumps(put(json.loads(whole), path, value)))
        if not is_refused(folder, file):
            found.append(f"{file} {path}: {ascii(value)[:40]}")
    (folder / file).write_text(whole)
    return found


def test_names_of_actors_and_emotions(folder: Path) -> None:
    content = json.loads((folder / "network_info.json").read_text())
    emotions = "emotions" if "emotions" in content["params"] else "explicit_emotions"
    found = missed(folder, "network_info.json", ("id", "actor"), (*HOSTILE_NAMES, *HOSTILE_IN_FILES))
    found += missed(folder, "network_info.json", ("params", emotions, 0), (*HOSTILE_NAMES, *HOSTILE_IN_FILES))
    if emotions == "emotions":
        found += missed(folder, "network_info.json", ("params", "identities", 0), (*HOSTILE_NAMES, *HOSTILE_IN_FILES))
    version = tuple(name for name in HOSTILE_NAMES if name)
    assert found + missed(folder, "network_info.json", ("id", "version"), version) == []


def test_paths_stay_inside(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text())
    found = [item for path in places(content) for item in missed(folder, "model.json", path, HOSTILE_PATHS)]
    assert found == []


def test_links_stay_inside(folder: Path) -> None:
    """Also the files that model.json does not name."""
    outside = folder.parent / "outside"
    outside.mkdir()
    names = [path.name for path in folder.iterdir() if path.name not in ("model.json", "README.md")]
    assert {"network.onnx", "trt_info.json", "network_info.json"} <= set(names)
    for name in [*names, "display_ada.npz"]:
        whole = (folder / name).read_bytes() if (folder / name).exists() else b""
        (outside / name).write_bytes(whole)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside / name)
        assert is_refused(folder, name), name
        (folder / name).unlink()
        if whole:
            (folder / name).write_bytes(whole)
    assert not [fault for fault in lint(folder)[1] if fault.severity == "error"]
    (folder / "kept.json").write_bytes((folder / "model.json").read_bytes())
    (folder / "model.json").unlink()
    (folder / "model.json").symlink_to("kept.json")  # a link that stays inside is as good as a file
    assert not [fault for fault in lint(folder)[1] if fault.severity == "error"]


def test_numbers_have_ranges(folder: Path) -> None:
    found, tried = [], 0
    for pattern in ("network_info.json", "model_config*.json", "bs_skin_config*.json", "trt_info.json"):
        file = sorted(folder.glob(pattern))[0]
        content = json.loads(file.read_text())
        for path in places(content):
            old = content
            for key in path:
                old = old[key]
            if isinstance(old, str) or path == ("estimated_trt_builder_time",):
                continue
            values: tuple[Any, ...] = HOSTILE_NUMBERS
            if file.name.startswith(("model_config", "bs_")) and path[-1] != "numPoses":
                values = (float("inf"), 10**400, True)
            elif path[-2:-1] == ("default_emotion",):
                values = HOSTILE_NUMBERS[:-1]  # half an emotion is one
            tried += 1
            found += missed(folder, file.name, path, values)
    assert tried > 40
    assert found == []


@pytest.mark.parametrize("value", HOSTILE_NAMES)
def test_names_in_archives(folder: Path, value: str) -> None:
    if value == "":
        return  # numpy pads byte strings with NUL, so that an empty one is none
    encoded = value.encode("utf-8", "surrogatepass")
    for file, name, place in (("bs_skin_ada.npz", "poseNames", 1), ("implicit_emo_db.npz", "emo_spec_names", 0)):
        if not (folder / file).is_file():
            continue
        with np.load(folder / file) as archive:
            arrays = dict(archive)
        names = arrays[name].tolist()
        whole = (folder / file).read_bytes()
        if name == "poseNames":  # an archive with such a member, which numpy writes as well
            arrays[value.rstrip("\0").replace("\ud800", "?")] = arrays.pop(names[place].decode())
        names[place] = encoded
        np.savez(folder / file, **(arrays | {name: np.array(names)}))
        assert is_refused(folder, file), file
        (folder / file).write_bytes(whole)


def test_a_window_of_terabytes(tmp_path: Path) -> None:
    """Each number alone is in its range."""
    write_model(tmp_path, DIFFUSION)
    content = json.loads((tmp_path / "network_info.json").read_text())
    content["params"] |= {"num_frames_center": 100_000, "num_diffusion_steps": 100_000}
    content["audio_params"]["buffer_len"] = 10_000_000
    (tmp_path / "network_info.json").write_text(json.dumps(content))
    assert any("values, more than" in fault.problem for fault in lint(tmp_path)[1])
