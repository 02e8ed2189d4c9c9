"""The reference's small actor, configured as the reference was."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from reference_actor import ACTOR, Configure

from audio2face.config import Configuration, Preproc, Roots, load

PREPROC = {field.name for field in fields(Preproc)}
_GEOMETRY = {
    "SKIN_NEUTRAL_FPATH": "geom/skin/neutral_pose.npy",
    "SKIN_LIP_OPEN_POSE_DELTA_FPATH": "geom/skin/lip_open_pose_delta.npy",
    "SKIN_EYE_CLOSE_POSE_DELTA_FPATH": "geom/skin/eye_close_pose_delta.npy",
    "SKIN_LIP_DIST_VERTEX_LIST_FPATH": "geom/skin/lip_dist_vertex_list.json",
    "SKIN_LIP_SIZE_VERTEX_LIST_FPATH": "geom/skin/lip_size_vertex_list.json",
    "SKIN_EYE_DIST_VERTEX_LIST_FPATH": "geom/skin/eye_dist_vertex_list.json",
    "TONGUE_CACHE_ROOT": "cache/tongue",
    "TONGUE_NEUTRAL_FPATH": "geom/tongue/neutral_pose.npy",
    "TONGUE_RIGID_VERTEX_LIST_FPATH": "geom/tongue/rigid_vertex_list.json",
    "JAW_KEYPOINTS_NEUTRAL_FPATH": "xform/jaw_keypoints_neutral.npy",
    "JAW_ANIM_DATA_FPATH": "xform/jaw_keypoints_cache_all.npz",
    "EYE_ANIM_DATA_FPATH": "xform/eye_rotations_all.npz",
    "EYE_BLINK_KEYS_FPATH": "xform/eye_blink_keys.npy",
    "EYE_SACCADE_ROTATIONS_FPATH": "xform/eye_saccade_rotations.npy",
}


@pytest.fixture
def configure(reference_data: Path, tmp_path: Path) -> Configure:
    """Loads a configuration of the reference's actor, with all of its data or with audio and skin alone."""

    def load_one(
        minimal: bool = False, quick: bool = True, root: Path | None = None, **changes: object
    ) -> Configuration:
        if quick:
            changes = {"SKIN_SELECT_DISTINCT_MAX_ITER": 8, **changes}
        root = root or reference_data / "preproc" / "dataset"
        folder = tmp_path / "configs" / "small"
        write_configuration(folder, root, json.loads((reference_data / "preproc/config.json").read_text()), minimal)
        for name, value in changes.items():
            file = "preproc" if name in PREPROC else "dataset"
            with (folder / f"config_{file}.py").open("a") as handle:
                handle.write(f"{name} = {value!r}\n")
        roots = Roots(datasets=tmp_path, workspace=tmp_path / "workspace")
        return load("small", stage="preproc", actors=[ACTOR], roots=roots, configs_folder=folder.parent)

    return load_one


def write_configuration(folder: Path, root: Path, settings: dict[str, object], minimal: bool) -> None:
    """Writes the two files that preprocessing reads."""
    paths = {"AUDIO_ROOT": "audio", "SKIN_CACHE_ROOT": "cache/skin"} | ({} if minimal else _GEOMETRY)
    dataset = [f"{name} = {{{ACTOR!r}: {str(root / path)!r}}}" for name, path in paths.items()]
    dataset += [
        f"CACHE_FPS = {{{ACTOR!r}: {settings['CACHE_FPS']}}}",
        f"SHOT_EMOTION_NAMES = {settings['SHOT_EMOTION_NAMES']!r}",
        f"ACTOR_NAMES = [{ACTOR!r}]",
    ]
    preproc = [f"{name} = {settings[name]}" for name in ("SKIN_PRUNE_SIM_DIST", "SKIN_SELECT_DISTINCT_MAX_ITER")]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config_dataset.py").write_text("\n".join([*dataset, ""]))
    (folder / "config_preproc.py").write_text("\n".join(['RUN_NAME = "small"', *preproc, ""]))
