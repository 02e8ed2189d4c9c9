"""A sound folder has no errors; a folder with any single damage has one, which names the file."""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import DIFFUSION, REGRESSION, STREAMING, write_model

from audio2face.model_folder import DiffusionInfo, lint, parameter_ranges
from audio2face.model_folder.network_info import INFO_FILE, open_info

# What readers do without.
OPTIONAL = {"version", "resampler", "templateBBSize", "estimated_trt_builder_time", "blendshapePaths", "skin", "tongue"}
IGNORED = {"id.version", "params.identities"}
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module", params=[DIFFUSION, REGRESSION, STREAMING], ids=["diffusion", "regression", "streaming"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("model")
    write_model(folder, request.param)
    return folder


def faults(folder: Path, severity: str = "error") -> list[str]:
    return [f"{fault.file}: {fault.problem}" for fault in lint(folder)[1] if fault.severity == severity]


def damaged(sound: Path, name: str, write: Callable[[Path], None]) -> list[str]:
    """The errors of the folder while one of its files is another."""
    path = sound / name
    kept = path.read_bytes()
    try:
        write(path)
        return faults(sound)
    finally:
        path.write_bytes(kept)


def write_arrays(arrays: Arrays, compressed: bool = False) -> Callable[[Path], None]:
    return lambda path: (np.savez_compressed if compressed else np.savez)(path, **arrays)


def load(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def test_sound_folder(sound: Path) -> None:
    model, found = lint(sound)
    assert model is not None
    assert faults(sound) == []
    assert faults(sound, "warning") == []
    notes = ["network.trt"] + ["input_strength"] * len(model.actors) * isinstance(model.info, DiffusionInfo)
    assert len(found) == len(notes)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to every value of a JSON object."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from leaves(value[0], (*path, 0))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a JSON object with one value replaced, or taken out (None)."""
    result = holder = copy.deepcopy(value)
    for key in path[:-1]:
        holder = holder[key]
    if new is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return result


def json_damages(value: Any, regression: bool) -> Iterator[tuple[str, Any]]:
    """Every value of a JSON file missing, of another type, or a list of another length."""
    for path in leaves(value):
        words = ".".join(map(str, path))
        if path[-1] in OPTIONAL or (regression and words in IGNORED) or path[-2:-1] == ("trt_build_param",):
            continue
        yield f"without {words}", changed(value, path, None)
        old = value
        for key in path:
            old = old[key]
        yield f"{words} of another type", changed(value, path, 5 if isinstance(old, str | list | dict) else "5")
        if isinstance(old, list):
            yield f"{words} too long", changed(value, path, [*old, old[-1]])
            yield f"{words} empty", changed(value, path, [])


def test_every_damage_to_json_is_found(sound: Path) -> None:
    missed, tried = [], 0
    for path in sorted(sound.glob("*.json")):
        value = json.loads(path.read_text())
        for words, other in json_damages(value, not (sound / "model_data_ada.npz").exists()):
            tried += 1
            if not damaged(sound, path.name, lambda path, other=other: path.write_text(json.dumps(other)) and None):
                missed.append(f"{path.name}: {words}")
    assert tried > 100
    assert missed == []


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"config": NaN}', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"[" * 10**5])
def test_what_is_no_strict_json_is_found(sound: Path, text: bytes) -> None:
    for path in sorted(sound.glob("*.json")):
        errors = damaged(sound, path.name, lambda path: path.write_bytes(text) and None)
        assert len(errors) == 1
        assert errors[0].startswith(path.name)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_parameters_outside_their_range_are_found(sound: Path, data: st.DataObject) -> None:
    ranges = {name: limits for name, limits in parameter_ranges().items() if math.isfinite(limits[0])}
    name = data.draw(st.sampled_from(sorted(ranges)))
    lowest, highest = ranges[name]
    inside = data.draw(st.floats(lowest, highest))
    outside = data.draw(st.floats(max_value=lowest, exclude_max=True) | st.floats(min_value=highest, exclude_min=True))
    file = next(path.name for path in sorted(sound.glob("model_config*.json")))
    config = json.loads((sound / file).read_text())

    def errors(value: float) -> list[str]:
        text = json.dumps(changed(config, ("config", name), value)).replace("Infinity", "1e999")
        return damaged(sound, file, lambda path: path.write_text(text) and None)

    assert errors(inside) == []
    (error,) = errors(outside)
    assert error.startswith(f"{file}: config.{name} is ")


def array_damages(arrays: Arrays) -> Iterator[tuple[str, Arrays, bool]]:
    """Every array missing, of another length or type, in another order, or compressed."""
    for name, array in arrays.items():
        if name in ("frontalMask", "rig_version"):
            continue
        yield f"without {name}", {key: value for key, value in arrays.items() if key != name}, False
        others = {"shorter": array[:-1], "unicode": array.astype("U5"), "flat": array.reshape(1, -1)}
        if name == "saccade_rot_matrix":  # any length will do
            others["shorter"] = array[:0]
        elif name != "emo_db":  # rows that no shot names are idle
            others["longer"] = np.concatenate([array, array[:1]])
        if array.dtype.kind == "f":
            others |= {"float64": array.astype(np.float64), "float16": array.astype(np.float16)}
            others |= {"NaN": np.full_like(array, np.nan), "big-endian": array.astype(">f4")}
        if array.dtype.kind == "i":
            others |= {"int64": array.astype(np.int64)}
        if array.ndim > 1:
            others |= {"Fortran": np.asfortranarray(array)}
        for words, other in others.items():
            yield f"{name} {words}", {**arrays, name: other}, False
    yield "compressed", arrays, True


def test_every_damage_to_arrays_is_found(sound: Path) -> None:
    missed, tried = [], 0
    for path in sorted(sound.glob("*.npz")):
        for words, arrays, compressed in array_damages(load(path)):
            tried += 1
            errors = damaged(sound, path.name, write_arrays(arrays, compressed))
            if not any(error.startswith(path.name) for error in errors):
                missed.append(f"{path.name}: {words}: {errors}")
    assert tried > 50
    assert missed == []


def test_every_missing_file_is_found(sound: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in sound.iterdir())
    for name in names:
        folder = tmp_path / name
        shutil.copytree(sound, folder)
        (folder / name).unlink()
        assert faults(folder)


def test_every_cut_of_an_archive_is_found(sound: Path) -> None:
    path = sorted(sound.glob("model_data*.npz"))[0]
    content = path.read_bytes()
    end = content.index(b"PK\x01\x02") - 1  # the directory from there on is not read
    for length in [0, 1, 29, 60, *np.linspace(100, end, 40).astype(int).tolist()]:
        assert damaged(sound, path.name, lambda path, length=length: path.write_bytes(content[:length]) and None)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_crash(sound: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(sound.glob("*.npz"))))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    damaged(sound, path.name, lambda path: path.write_bytes(content) and None)


@pytest.mark.parametrize(
    ("name", "array", "found"),
    [
        ("frontalMask", np.array([0, 12], np.int32), "names vertices 0 to 12 of 12"),
        ("frontalMask", np.array([0, 1]), "frontalMask is <i8"),
        ("poseNames", np.array(["neutral", "jawOpen", "mouthLeft", "jawOpen"], "S"), "each once"),
        ("poseNames", np.array(["jawOpen", "neutral", "mouthLeft", "mouthRight"], "S"), "expected neutral"),
        ("poseNames", np.array(["neutral", "jawOpen", "mouthLeft"], "S"), "holds 2 poses"),
    ],
)
def test_blendshapes(sound: Path, name: str, array: np.ndarray, found: str) -> None:
    arrays = load(sound / "bs_skin_ada.npz") | {name: array}
    (error, *_) = damaged(sound, "bs_skin_ada.npz", write_arrays(arrays))
    assert found in error


def test_positions_in_place_of_offsets(sound: Path) -> None:
    arrays = load(sound / "bs_skin_ada.npz")
    arrays["jawOpen"] = arrays["jawOpen"] + arrays["neutral"]
    (error,) = damaged(sound, "bs_skin_ada.npz", write_arrays(arrays))
    assert "'jawOpen' holds positions" in error


def test_unicode_is_harmless_only_at_the_end(sound: Path) -> None:
    arrays = load(sound / "bs_skin_ada.npz")
    version = arrays.pop("rig_version").astype(str)
    assert damaged(sound, "bs_skin_ada.npz", write_arrays({**arrays, "rig_version": version})) == []
    errors = damaged(sound, "bs_skin_ada.npz", write_arrays({"rig_version": version, **arrays}))
    assert ["loses it and every array after it" in error for error in errors] == [True]


def test_half_a_pair_is_found(sound: Path) -> None:
    config = json.loads((sound / "bs_skin_config_ada.json").read_text())
    config["blendshape_params"]["bsSolveSymmetryPoses"] = [3, -1, -1]
    (error,) = damaged(sound, "bs_skin_config_ada.json", lambda path: path.write_text(json.dumps(config)) and None)
    assert "exactly twice (3 is there 1 times)" in error


def test_blendshapes_of_the_skin_alone_are_a_warning(sound: Path) -> None:
    path = sound / "model.json"
    kept = path.read_text()
    model = json.loads(kept)
    shapes = model["blendshapePaths"]
    del (shapes if isinstance(shapes, dict) else shapes[0])["tongue"]
    path.write_text(json.dumps(model))
    try:
        assert faults(sound) == []
        assert ["both to give weights" in text for text in faults(sound, "warning")] == [True]
    finally:
        path.write_text(kept)


@pytest.mark.parametrize("name", ["skin_size", "tongue_size", "jaw_size", "eyes_size", "num_diffusion_steps"])
def test_doubling_a_size_is_found(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, DIFFUSION)
    info = json.loads((tmp_path / "network_info.json").read_text())
    info["params"][name] *= 2
    (tmp_path / "network_info.json").write_text(json.dumps(info))
    assert faults(tmp_path)


def test_noise_of_an_odd_number_of_values_is_found(tmp_path: Path) -> None:
    write_model(tmp_path, DiffusionInfo(**vars(DIFFUSION) | {"num_frames_center": 29, "skin_size": 39}))
    assert any("even numbers only" in error for error in faults(tmp_path))


@pytest.mark.parametrize("text", ["{OTHER}", "{MAX_BATCH_SIZE:>999999999}", "{MAX_BATCH_SIZE.real}", "{0}", "{"])
def test_placeholders_that_cannot_be_filled(sound: Path, text: str) -> None:
    info = json.loads((sound / "trt_info.json").read_text())
    info["trt_build_param"]["more"] = [text]
    (error,) = damaged(sound, "trt_info.json", lambda path: path.write_text(json.dumps(info)) and None)
    assert "cannot be filled" in error


def test_a_folder_without_resampler_was_made_with_that_of_the_reference(tmp_path: Path) -> None:
    write_model(tmp_path, DiffusionInfo(**vars(DIFFUSION) | {"resampler": "soxr"}))
    path = tmp_path / INFO_FILE
    assert open_info(tmp_path).resampler == "soxr"
    content = json.loads(path.read_text())
    del content["audio_params"]["resampler"]
    path.write_text(json.dumps(content))
    assert open_info(tmp_path).resampler == "hann"
