"""Records what every stage makes of a small data set, so that a change of structure can be shown to change nothing.

    .venv/bin/python -m tools.golden_record --to build/golden
    .venv/bin/python -m tools.golden_record --to build/again --against build/golden/record.json

The first call runs all stages and writes build/golden/record.json; the second compares. `--numbers-to FILE` writes what
other machines can compare with (tests/data/golden.json).

The tests' reference actor is preprocessed, trained with both networks from fixed seeds, exported, deployed, and one
recording is animated in every format. The record holds the SHA-256 of weights, checkpoints, graphs, deployed folders
and all outputs, and a few numbers of each array. On one machine the hashes must agree. Other processors round
differently, and draw other dropout masks: for them `--numbers` compares names, shapes, types and numbers, the
optimiser's state by its structure alone, and training makes steps so small that weights are comparable. The first
stage that differs is named.

Only the command lines of the stages, configurations and file formats are used: modules may move.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.numpy import load_file

from audio2face.config import Roots, load
from audio2face.config_base.types import Stage

ROOT = Path(__file__).resolve().parent.parent
DATASET = ROOT / "tests" / "data" / "reference" / "preproc" / "dataset"
STAGES = ("preproc", "train", "deploy", "inference")
NETWORKS = ("diffusion", "regression")
TOLERANCE = 1e-5  # of an array's range or largest magnitude, between processors
_LEAST_SPAN = 0.01  # what counts as the range of arrays near zero, such as biases after a few steps
_OPTIMIZER = "optimizer_state"
_SAMPLES = 4  # values kept of each array
_RUN_NAME = re.compile(rb"\d{6}_\d{6}_")
_NO_RUN_NAME = b"000000_000000_"
# What depends on where and when the repository was checked out.
_CHECKOUT = re.compile(rb'(?<="modified_ns": )\d+|(?<="fingerprint": ")[0-9a-f]+')
# Of a run: logs, pictures and what tells when, where, how fast and from which state of files it ran.
_UNRECORDED = re.compile(
    r"(^|/)(log\.log|events\..*|status\.json|state\.json|configuration\.json|summary\.json|preproc_info\.json|actor_info\.json"
    r"|inputs\.json|\.lock|.*\.png|.*\.jpg|report\.(md|json)|training_step\.json)$"
)
_CHANGING_METRICS = ("frames_per_second", "seconds", "minutes")
_CONTENT = "content_sha256"  # of files that hold data between text that may be reworded
_PAGE_BLOCK = re.compile(rb'<script type="[a-z/]+" id="(description|payload)">(.*?)</script>', re.DOTALL)
_MINUTES = re.compile(rb"[\d.]+ minutes")
_CARD_HEADER = re.compile(rb"\A---\n.*?\n---\n", re.DOTALL)
_FIGURE = re.compile(rb"\d+(?:\.\d+)?")
_COMMIT = re.compile(rb"(?<=, commit )[0-9a-f]+")
_MINUTES = re.compile(rb"[0-9]+\.[0-9](?= minutes, )")  # how long training took

Record = dict[str, dict[str, Any]]

DATASET_CONFIG = """
ACTOR_NAMES = ["ann"]
CACHE_FPS = {"ann": 30.0}
AUDIO_ROOT = {"ann": "/datasets/audio"}
SKIN_CACHE_ROOT = {"ann": "/datasets/cache/skin"}
TONGUE_CACHE_ROOT = {"ann": "/datasets/cache/tongue"}
SKIN_NEUTRAL_FPATH = {"ann": "/datasets/geom/skin/neutral_pose.npy"}
SKIN_LIP_OPEN_POSE_DELTA_FPATH = {"ann": "/datasets/geom/skin/lip_open_pose_delta.npy"}
SKIN_EYE_CLOSE_POSE_DELTA_FPATH = {"ann": "/datasets/geom/skin/eye_close_pose_delta.npy"}
SKIN_LIP_DIST_VERTEX_LIST_FPATH = {"ann": "/datasets/geom/skin/lip_dist_vertex_list.json"}
SKIN_EYE_DIST_VERTEX_LIST_FPATH = {"ann": "/datasets/geom/skin/eye_dist_vertex_list.json"}
TONGUE_NEUTRAL_FPATH = {"ann": "/datasets/geom/tongue/neutral_pose.npy"}
TONGUE_RIGID_VERTEX_LIST_FPATH = {"ann": "/datasets/geom/tongue/rigid_vertex_list.json"}
JAW_KEYPOINTS_NEUTRAL_FPATH = {"ann": "/datasets/xform/jaw_keypoints_neutral.npy"}
JAW_ANIM_DATA_FPATH = {"ann": "/datasets/xform/jaw_keypoints_cache_all.npz"}
EYE_ANIM_DATA_FPATH = {"ann": "/datasets/xform/eye_rotations_all.npz"}
EYE_BLINK_KEYS_FPATH = {"ann": "/datasets/xform/eye_blink_keys.npy"}
EYE_SACCADE_ROTATIONS_FPATH = {"ann": "/datasets/xform/eye_saccade_rotations.npy"}
SHOT_EMOTION_NAMES = ["neutral", "joy", "anger"]
"""
PREPROC_CONFIG = """
RUN_NAME = "golden"
SKIN_PRUNE_SIM_DIST = 40.0
SKIN_SELECT_DISTINCT_MAX_ITER = 60
"""
_TRAIN = """
RUN_NAME = "golden"
DEVICE = "cpu"
VALIDATION_SHOTS = {"ann": ["s4_neutral"]}
VALIDATION_PERIOD_EPOCHS = 1
NUM_EPOCHS = 2
LOG_PERIOD = 2
EXPORTED_WEIGHTS = "last"
LEARNING_RATE = 1e-7
AUDIO_RESAMPLER = "hann"  # as in the reference: one of its recordings has 44.1 kHz
"""
_NETWORK = {
    "diffusion": """
NETWORK_TYPE = "diffusion"
SPEECH_ENCODER = "logmel"
TARGET_FPS = 30.0
NETWORK_HYPER_PARAMS = {"feature_dim": 16, "gru_feature_dim": 16}
SUBSEGMENT_MIN_FRAME = 12
SUBSEGMENT_MAX_FRAME = 20
BATCH_SIZE = 2
GRADIENT_ACCUMULATION_STEPS = 2
AUGMENT = {"timeshift": 1.0, "pitch_shift": {"p": 0.5}}
AUG_MUTED_SHOTS = [["ann", ["s1_neutral", 3], 40, "neutral"]]
""",
    "regression": """
NETWORK_TYPE = "regression"
SPEECH_ENCODER = "hama"
SPEECH_ENCODER_LAYERS = [2]
SEQ_STRIDE = 40
BATCH_SIZE = 6
""",
}
_INFERENCE = {"diffusion": 'TIMESTEP_RESPACING = "2"\n', "regression": ""}


def main(argv: list[str]) -> int:
    """Returns 0 where the record agrees, 1 where it differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="folder of the workspace and record.json")
    parser.add_argument("--against", type=Path, help="an earlier record.json")
    parser.add_argument("--numbers", action="store_true", help="compare names, shapes and numbers, not bits")
    parser.add_argument("--numbers-to", type=Path, help="also write the record without hashes to this file")
    args = parser.parse_args(argv)
    made = make_record(args.to)
    if args.numbers_to is not None:
        args.numbers_to.write_text(json.dumps(without_hashes(made), separators=(",", ":"), sort_keys=True) + "\n")
    if args.against is None:
        print(f"{len(made)} artifacts recorded in {args.to / 'record.json'}")
        return 0
    differences = compare(json.loads(args.against.read_text()), made, bits=not args.numbers)
    print("\n".join(differences) or f"all {len(made)} artifacts agree")
    return 1 if differences else 0


def make_record(folder: Path, networks: tuple[str, ...] = NETWORKS) -> Record:
    """Runs all stages in a folder, which is emptied first, and writes and returns the record of what they made.

    Raises:
        subprocess.CalledProcessError: a stage failed.
    """
    folder = folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    record: Record = {}
    for network in networks:
        configs = folder / network / "configs"
        write_configuration(configs / network, network)
        workspace = folder / network / "workspace"
        _run(folder, configs, workspace, "preproc", network, ["ann"])
        _run(folder, configs, workspace, "train", network)
        run = next((workspace / "output_train").iterdir()).name
        _run(folder, configs, workspace, "deploy", network, [run])
        formats = ("page", "maya", "pc2", "mdd", "npy", "csv", "arkit", "glb", "usd", "video")
        forms = [form for form in formats if form != "arkit"]  # this actor has no blend shapes
        raw = ["--mode", "offline", "--output", "npy", "maya"]
        audio = ["--audio", str(DATASET / "audio" / "s2_joy.wav")]
        _run(folder, configs, workspace, "inference", network, [run, *audio, "--format", *forms, *raw])
        for stage in STAGES:
            for name, facts in _artifacts(workspace / _OUTPUTS[stage]):
                record[f"{network}/{stage}/{name}"] = facts
    (folder / "record.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return record


_OUTPUTS = {
    "preproc": "output_preproc",
    "train": "output_train",
    "deploy": "output_deploy",
    "inference": "output_inference",
}


def without_hashes(record: Record) -> Record:
    """The part of a record that other machines can compare, with numbers of seven digits."""
    return {
        name: {"arrays": {key: _rounded(values) for key, values in facts.get("arrays", {}).items()}}
        for name, facts in record.items()
    }


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {key: float(f"{values[key]:.7g}") for key in ("min", "max")}
    return {**values, **numbers, "values": [float(f"{value:.7g}") for value in values["values"]]}


def compare(before: Record, after: Record, *, bits: bool) -> list[str]:
    """Tells how two records differ: nothing, or the first stage that differs with its artifacts.

    Args:
        before, after: what `make_record` returned.
        bits: compare hashes; else names, shapes, types, and numbers within `TOLERANCE` of an array's range.
    """
    for network in NETWORKS:
        for stage in STAGES:
            start = f"{network}/{stage}/"
            names = sorted(name for name in before.keys() | after.keys() if name.startswith(start))
            found = [text for name in names if (text := _difference(name, before, after, bits))]
            if found:
                return [f"{network}: stage {stage} is the first that differs", *found]
    return []


def _difference(name: str, before: Record, after: Record, bits: bool) -> str | None:
    if name not in before or name not in after:
        return f"  {name}: {'new' if name in after else 'missing'}"
    old, new = before[name], after[name]
    if bits:
        key = _CONTENT if _CONTENT in old else "sha256"
        return None if old[key] == new.get(key) else f"  {name}: other bits"
    arrays, others = old.get("arrays", {}), new.get("arrays", {})
    if arrays.keys() != others.keys():
        return f"  {name}: arrays {sorted(arrays.keys() ^ others.keys())} are not in both"
    for key, values in arrays.items():
        if (text := _array_difference(values, others[key], numbers=_OPTIMIZER not in name)) is not None:
            return f"  {name}: {key}: {text}"
    return None


def _array_difference(old: Mapping[str, Any], new: Mapping[str, Any], *, numbers: bool) -> str | None:
    if (old["shape"], old["dtype"]) != (new["shape"], new["dtype"]):
        return f"{old['dtype']}{old['shape']} has become {new['dtype']}{new['shape']}"
    if not numbers:
        return None
    span = max(old["max"] - old["min"], abs(old["max"]), abs(old["min"]), _LEAST_SPAN)
    pairs = zip([old["min"], old["max"], *old["values"]], [new["min"], new["max"], *new["values"]], strict=True)
    largest = max((abs(a - b) for a, b in pairs), default=0.0)
    return None if largest <= TOLERANCE * span else f"differs by {largest:.3g} in a range of {span:.3g}"


def write_configuration(target: Path, network: str) -> None:
    """Writes the files of a configuration that trains a small network within seconds, into a new folder."""
    target.mkdir(parents=True)
    (target / "config_dataset.py").write_text(DATASET_CONFIG)
    (target / "config_preproc.py").write_text(PREPROC_CONFIG)
    (target / "config_train.py").write_text(_TRAIN + _NETWORK[network])
    (target / "config_inference.py").write_text(_INFERENCE[network])


def _run(
    folder: Path, configs: Path, workspace: Path, stage: Stage, network: str, arguments: Sequence[str] = ()
) -> None:
    """Runs a stage as the launcher does, in a process of its own."""
    roots = Roots(datasets=DATASET, workspace=workspace)
    file = folder / f"{stage}.json"
    load(network, stage=stage, roots=roots, configs_folder=configs).save(file)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "A2F_DATASETS_ROOT": str(DATASET),
        "A2F_WORKSPACE_ROOT": str(workspace),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [
        sys.executable,
        str(ROOT / "runners" / f"run_{stage}.py"),
        network,
        *arguments,
        "--config-file",
        str(file),
    ]
    print(f"{network}: {stage}", flush=True)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise subprocess.CalledProcessError(done.returncode, command)


def _artifacts(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names, hashes and numbers of the files of a stage; names of runs lose their time."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink() and not _UNRECORDED.search(name):
            name = _RUN_NAME.sub(_NO_RUN_NAME, name.encode()).decode()
            yield name, _facts(path)


def _facts(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"sha256": hashlib.sha256(_content(path)).hexdigest()}
    if (content := _carried(path)) is not None:
        facts[_CONTENT] = hashlib.sha256(content).hexdigest()
    if arrays := {name: _numbers(array) for name, array in _arrays(path)}:
        facts["arrays"] = arrays
    return facts


def _carried(path: Path) -> bytes | None:
    """The data of a page and the figures of a README: neither the program of the one nor the wording of the other."""
    if path.name == "README.md":
        text = _CARD_HEADER.sub(b"", _content(path))  # it repeats figures of the text below it
        return b" ".join(_FIGURE.findall(_MINUTES.sub(b"", text)))
    if path.suffix != ".html":
        return None
    blocks: dict[bytes, bytes] = dict(_PAGE_BLOCK.findall(_content(path)))
    values = list(_leaves(json.loads(blocks[b"description"])))
    return json.dumps(values).encode() + blocks[b"payload"]


def _leaves(value: object) -> Iterator[object]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if children is None:
        yield value
    else:
        for child in children:
            yield from _leaves(child)


def _content(path: Path) -> bytes:
    """A file's bytes without times; archives by their members, since they record their time of creation."""
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            return b"".join(name.encode() + archive.read(name) for name in sorted(archive.namelist()))
    if path.name == "metrics.csv":
        lines = path.read_text().splitlines()
        rows = [line.split(",") for line in lines]
        return "\n".join(",".join([*row[:2], *row[3:]]) for row in rows if row[3] not in _CHANGING_METRICS).encode()
    content = path.read_bytes()
    if path.suffix == ".json":
        content = _CHECKOUT.sub(b"", content).replace(str(ROOT).encode(), b"")
    if path.name == "README.md":
        content = _MINUTES.sub(b"0.0", _COMMIT.sub(b"", content))
    return _RUN_NAME.sub(_NO_RUN_NAME, content)


def _arrays(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    if path.suffix == ".npy":
        yield "array", np.load(path)
    elif path.suffix == ".npz":
        with np.load(path) as archive:
            yield from ((name, archive[name]) for name in sorted(archive.files))
    elif path.suffix == ".safetensors":
        yield from sorted(load_file(path).items())
    elif path.suffix == ".onnx":
        for tensor in onnx.load(path).graph.initializer:
            yield tensor.name, onnx.numpy_helper.to_array(tensor)


def _numbers(array: NDArray[Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "min": 0.0,
        "max": 0.0,
        "values": [],
    }
    if array.size and array.dtype.kind in "fiub":
        flat = array.reshape(-1).astype(np.float64)
        picked = flat[np.linspace(0, flat.size - 1, min(_SAMPLES, flat.size)).astype(np.int64)]
        facts |= {"min": float(flat.min()), "max": float(flat.max()), "values": [float(value) for value in picked]}
    return facts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
