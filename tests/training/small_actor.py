"""The reference's small actor as a preprocessing run, under one name or several, configured for training."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audio2face.config import Configuration, Roots
from audio2face.config.values import freeze, merge
from audio2face.config_base.tables import NetworkType, SectionName, base_of

RUN = "250909_135508_small"
Configure = Callable[..., Configuration]
EVERY_SHOT = [
    ("ann", shot, (0, last), "ann", "en", f"{shot}.wav", 0)
    for shot, last in (("s1_neutral", 119), ("s2_joy", 94), ("s3_anger", 140), ("s4_neutral", 109))
]
# Paths of the actor's files in its dataset.
_FILES = {
    "AUDIO_ROOT": "audio",
    "SKIN_CACHE_ROOT": "cache/skin",
    "JAW_ANIM_DATA_FPATH": "xform/jaw_keypoints_cache_all.npz",
    "EYE_ANIM_DATA_FPATH": "xform/eye_rotations_all.npz",
}


def add_run(reference_data: Path, folder: Path, actor: str) -> None:
    """Makes a finished preprocessing run from the reference's output; for another actor the names are changed."""
    shutil.copytree(reference_data / "preproc/expected", folder, ignore=shutil.ignore_patterns("intermediate"))
    (folder / "status.json").write_text('{"status": "done"}')
    if actor != "ann":
        for name in ("actor_info.json", "deploy/shots.json", "deploy/clips_template.py"):
            text = (folder / name).read_text()
            (folder / name).write_text(text.replace('"ann"', f'"{actor}"'))


def configuration(
    dataset: Path, workspace: Path, actors: tuple[str, ...], changes: dict[str, Any], kind: NetworkType = "diffusion"
) -> Configuration:
    """Makes an unchecked configuration that trains on all shots in full length, unless changed."""
    values: dict[SectionName, dict[str, Any]] = {
        "dataset": {name: {actor: str(dataset / path) for actor in actors} for name, path in _FILES.items()}
        | {
            "CACHE_FPS": dict.fromkeys(actors, 30.0),
            "SHOT_EMOTION_NAMES": ["neutral", "joy", "anger"],
            "ACTOR_NAMES": list(actors),
        },
        "train": {"CLIPS": EVERY_SHOT, "VALIDATION_FRACTION": 0.0},
    }
    for name, value in changes.items():
        values["dataset" if name in base_of("dataset", kind).types else "train"][name] = value
    full = {name: merge(base_of(name, kind).defaults, section) for name, section in values.items()}
    return Configuration(
        name="small",
        stage="train",
        actors=actors,
        network_type=kind,
        roots=Roots(datasets=dataset, workspace=workspace),
        modifiers=freeze(values),
        full=freeze(full),
    )
