"""What is derived from the base modules is fresh, and their comments keep to their form."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from audio2face.config_base import train_common
from audio2face.config_base.tables import all_bases, base_of
from audio2face.config_base.types import PathRule
from audio2face.families import FAMILIES

from .conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from document_config import Comment, read_comments, read_keys

STAGE_WORDS = {"preproc": "preprocessing", "train": "training", "deploy": "deployment", "inference": "inference"}
BASES = [(section, kind) for section, kind, _ in all_bases()]


def _comments(section: Any, kind: Any) -> dict[str, Comment]:
    return read_comments(inspect.getsource(base_of(section, kind).module))


def test_generated_files_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "tools/document_config.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nRun python tools/document_config.py."


@pytest.mark.parametrize(("section", "kind"), BASES)
def test_every_parameter_is_explained(section: Any, kind: Any) -> None:
    base, comments = base_of(section, kind), _comments(section, kind)
    assert list(comments) == list(base.types)
    for name, comment in comments.items():
        assert comment.meaning.endswith("."), name
        assert comment.change.endswith("."), name
        assert comment.read.endswith("."), name
        for path, text in read_keys(inspect.getsource(base.module), name).items():
            assert text.endswith("."), (name, path)


@pytest.mark.parametrize(("section", "kind"), BASES)
def test_comments_name_the_stages_at_which_files_must_exist(section: Any, kind: Any) -> None:
    comments = _comments(section, kind)
    for name, hint in base_of(section, kind).types.items():
        for rule in _path_rules(hint):
            for stage in rule.read_at:
                assert STAGE_WORDS[stage] in comments[name].read, name


def _path_rules(hint: Any) -> Iterator[PathRule]:
    if isinstance(hint, PathRule):
        yield hint
    for part in get_args(hint):
        yield from _path_rules(part)


def test_base_modules_hold_parameters_only() -> None:
    for _, _, base in all_bases():
        assert [name for name in vars(base.module) if name.isupper()] == list(base.types)


def test_common_parameters_are_declared_once() -> None:
    common = get_type_hints(train_common, include_extras=True)
    for kind in FAMILIES:
        base = base_of("train", kind)
        assert set(common) <= set(base.types)
        assert not set(common) & set(get_type_hints(base.module))
        assert all(getattr(base.module, name) is getattr(train_common, name) for name in common)


# Parameters that mean something else, or nothing, in the other kind of training.
DIFFER = {
    "NETWORK_NAME",
    *("TARGET_FPS", "AUGMENT", "AUDIO_PARAMS", "NETWORK_HYPER_PARAMS", "BATCH_SIZE", "NUM_EPOCHS", "NETWORK_TYPE"),
    *("LOSS_MOTION_ALPHA", "LOSS_LIP_DIST_EMO_WEIGHTS", "PHONEME_DATA_CACHING", "TARGET_DATA_CACHING"),
}


def test_what_both_kinds_of_training_share_is_written_alike() -> None:
    one, other = (base_of("train", kind) for kind in ("regression", "diffusion"))
    comments, others = _comments("train", "regression"), _comments("train", "diffusion")
    for name in (one.types.keys() & other.types.keys()) - DIFFER:
        assert one.types[name] == other.types[name], name
        said, also = comments[name], others[name]
        assert (said.meaning, said.change, said.read) == (also.meaning, also.change, also.read), name
