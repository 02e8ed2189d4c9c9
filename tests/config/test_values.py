"""Names, merging, types and ranges."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from annotated_types import Interval
from hypothesis import given
from hypothesis import strategies as st

from audio2face.config import Roots
from audio2face.config.values import (
    FrozenDict,
    check_values,
    explain_unknown,
    freeze,
    merge,
    unknown_names,
    without_unknown,
)
from audio2face.config_base.tables import all_bases, base_of
from audio2face.config_base.types import AnimationParameters
from audio2face.errors import UserError

ROOTS = Roots(Path("/data"), Path("/work"))
BASES = all_bases()
KNOWN = sorted((section, kind or "", name) for section, kind, base in BASES for name in base.types)
ALL_NAMES = {name for _, _, name in KNOWN}

leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
tables = st.recursive(
    st.dictionaries(st.text(max_size=2), leaves, max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=2), leaves | st.lists(leaves, max_size=2) | inner, max_size=3),
    max_leaves=8,
)


def _holds(merged: Any, written: Any) -> bool:
    if isinstance(written, dict) and isinstance(merged, dict):
        return all(key in merged and _holds(merged[key], value) for key, value in written.items())
    return bool(merged == written)


@given(tables, tables)
def test_merge_keeps_every_default_key_and_every_value_written(base: dict[str, Any], written: dict[str, Any]) -> None:
    before = copy.deepcopy((base, written))
    merged = merge(base, written)
    assert base.keys() <= merged.keys()
    assert _holds(merged, written)
    assert (base, written) == before
    assert merge(base, {}) == base


@given(tables, tables)
def test_without_unknown_leaves_only_known_names(base: dict[str, Any], written: dict[str, Any]) -> None:
    assert not list(unknown_names(base, without_unknown(base, written)))


@given(st.sampled_from(KNOWN), st.data())
def test_any_misspelt_name_is_reported_with_a_near_one(known: tuple[Any, Any, str], data: st.DataObject) -> None:
    section, kind, name = known
    at = data.draw(st.integers(1, len(name) - 1))
    typo = data.draw(st.sampled_from([name[:at] + name[at + 1 :], name[:at] + "X" + name[at:], name.lower()]))
    base = base_of(section, kind or None)
    if typo in ALL_NAMES:
        return
    ((path, candidates),) = unknown_names(base.defaults, {typo: 1})
    said = explain_unknown(path, candidates, section, kind or None)
    assert path == (typo,)
    assert "did you mean" in said


def test_a_name_in_the_wrong_file_is_sent_to_the_right_one() -> None:
    said = explain_unknown(("CLIPS",), list(base_of("dataset", None).types), "dataset", None)
    assert said == "CLIPS: belongs in config_train.py"


@pytest.mark.parametrize(("section", "kind"), [(section, kind) for section, kind, _ in BASES])
def test_the_defaults_pass_their_own_check(section: Any, kind: Any) -> None:
    values, problems = check_values(section, kind, base_of(section, kind).defaults, ROOTS)
    assert not problems
    assert values.keys() == base_of(section, kind).types.keys()


@pytest.mark.parametrize(("section", "kind"), [(section, kind) for section, kind, _ in BASES])
def test_a_value_of_no_type_is_refused_for_every_parameter(section: Any, kind: Any) -> None:
    defaults = base_of(section, kind).defaults
    for name in defaults:
        values, problems = check_values(section, kind, defaults | {name: [[{"?": []}]]}, ROOTS)
        assert {parameter for parameter, _ in problems} == {name}
        assert values.keys() == defaults.keys() - {name}


RANGES = {
    name: mark
    for name, kind in get_type_hints(AnimationParameters, include_extras=True).items()
    for mark in getattr(kind, "__metadata__", ())
    if isinstance(mark, Interval)
}


def _config(name: str, value: object) -> list[tuple[str, str]]:
    defaults = copy.deepcopy(base_of("inference", "diffusion").defaults)
    defaults["CONFIG"][name] = value
    return check_values("inference", "diffusion", defaults, ROOTS)[1]


def test_every_animation_parameter_but_the_gain_on_audio_has_a_range() -> None:
    assert set(AnimationParameters.__annotations__) - set(RANGES) == {"input_strength"}


def test_the_guard_of_speech_goes_from_nothing_to_all() -> None:
    assert not _config("speech_guard_strength", 0.5)
    for value in (-0.1, 1.1, True, "on"):
        ((_, text),) = _config("speech_guard_strength", value)
        assert "speech_guard_strength" in text


@given(st.sampled_from(sorted(RANGES)), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_animation_parameters_keep_to_the_ranges_of_the_sdk(name: str, beyond: float, above: bool) -> None:
    limits = RANGES[name]
    outside = limits.le + max(abs(beyond), 1e-6) if above else limits.ge - max(abs(beyond), 1e-6)
    assert _config(name, outside)
    assert not _config(name, limits.le if above else limits.ge)


@pytest.mark.parametrize("value", [True, "1", None, [1.0]])
def test_a_number_is_nothing_else(value: object) -> None:
    assert _config("skin_strength", value)


@pytest.mark.parametrize(
    ("section", "kind", "name", "value", "said"),
    [
        ("train", "diffusion", "BATCH_SIZE", 2.0, "BATCH_SIZE: should be a valid integer, found 2.0"),
        ("train", "diffusion", "NUM_EPOCHS", 0, "NUM_EPOCHS: should be greater than or equal to 1, found 0"),
        (
            "train",
            "regression",
            "PHONEME_FORCING_LANGS",
            ["en", "fr"],
            "PHONEME_FORCING_LANGS[1]: should be 'en' or 'zh'",
        ),
        ("preproc", None, "RUN_NAME", "../up", "RUN_NAME: should be a name of letters"),
        ("dataset", None, "SKIN_NEUTRAL_FPATH", {"ada": "neutral.obj"}, "['ada']: should be the path of a .npy file"),
        ("dataset", None, "AUDIO_ROOT", {"ada": "../audio"}, "leaves its root folder"),
        ("dataset", None, "AUDIO_ROOT", {"ada": ""}, "is empty"),
        (
            "train",
            "diffusion",
            "CLIPS",
            [["ada", "s", [0, 1], "ada", "en", "/s.wav", 0]],
            "CLIPS[0][5]: should be the path",
        ),
        ("train", "diffusion", "CLIPS", [["ada", "s", [0, -1], "ada", "en", "s.wav", 0]], "CLIPS[0][2][1]: should be"),
        ("inference", "diffusion", "TIMESTEP_RESPACING", "2;3", "TIMESTEP_RESPACING: should be counts"),
    ],
)
def test_messages_name_the_place_and_what_is_expected(
    section: Any, kind: Any, name: str, value: Any, said: str
) -> None:
    _, problems = check_values(section, kind, base_of(section, kind).defaults | {name: value}, ROOTS)
    assert len(problems) == 1
    assert said in problems[0][1]


@given(tables)
def test_frozen_values_equal_the_original_and_refuse_changes(value: dict[str, Any]) -> None:
    frozen = freeze(value)
    assert freeze(copy.deepcopy(frozen)) == frozen

    def refuses(part: Any) -> None:
        if isinstance(part, dict):
            assert isinstance(part, FrozenDict)
            for change in (part.clear, part.popitem, lambda: part.update(a=1), lambda: part.pop("a", 0)):
                with pytest.raises(TypeError):
                    change()
            for item in part.values():
                refuses(item)
        assert not isinstance(part, list)

    refuses(frozen)


@given(st.text(max_size=12) | st.lists(st.sampled_from(["..", ".", "a", "datasets", ""])).map("/".join))
def test_a_relative_path_never_leaves_its_root(text: str) -> None:
    try:
        found = ROOTS.resolve(text, "datasets")
    except UserError:
        return
    if not text.startswith("/"):
        assert Path(os.path.normpath(found)).is_relative_to("/data")


def test_paths_of_the_container_lie_below_the_roots() -> None:
    assert ROOTS.resolve("/datasets/a/b", "workspace") == Path("/data/a/b")
    assert ROOTS.resolve("/workspace", "datasets") == Path("/work")
    assert ROOTS.resolve("a/b", "workspace") == Path("/work/a/b")
    assert ROOTS.resolve("/datasets_of_mine/a", "datasets") == Path("/datasets_of_mine/a")
    with pytest.raises(UserError, match="leaves its root"):
        ROOTS.resolve("/datasets/a/../../b", "datasets")


def test_roots_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A2F_DATASETS_ROOT", "/elsewhere/d")
    monkeypatch.delenv("A2F_WORKSPACE_ROOT", raising=False)
    monkeypatch.delenv("A2F_IN_CONTAINER", raising=False)
    roots = Roots.from_environment()
    assert (roots.datasets, roots.workspace) == (Path("/elsewhere/d"), roots.framework / "workspace")
    monkeypatch.setenv("A2F_IN_CONTAINER", "1")
    assert Roots.from_environment().datasets == Path("/datasets")
