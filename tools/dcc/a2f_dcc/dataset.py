"""Writes a raw data set in the standard layout, whole or not at all; shots can be added to one that is there.

docs/preparing_data.md describes the files. All of them are written into a temporary folder beside the data set first.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from a2f_dcc import SceneError
from a2f_dcc.scene import Integers, Mesh, Points

RECORD = "dcc_export.json"
JAW_ARCHIVE, EYE_ARCHIVE = "xform/jaw_keypoints_cache_all.npz", "xform/eye_rotations_all.npz"
SKIN_NEUTRAL = "geom/skin/neutral_pose.npy"
_ARCHIVES = (JAW_ARCHIVE, EYE_ARCHIVE)
_PER_SHOT = ("audio", "cache")
_SAME_NEUTRAL = 0.01  # centimetres: the same rest pose of the same rig
_UNLIKE = ("eyeLook", "tongue", "jawLeft", "jawRight", "mouthLeft", "mouthRight")  # pairs that do not mirror
_UNSOLVED = ("eyeLook", "tongueOut")
_TRIANGLE = -1  # as the fourth corner


class CacheWriter:
    """Writes an .mdd point cache frame by frame: it holds the times of frames, from which readers know the rate.

    Args:
        path: the file.
        num_frames, num_verts: of the whole cache.
        fps: frames per second.
    """

    def __init__(self, path: Path, num_frames: int, num_verts: int, fps: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = path.open("wb")
        self._handle.write(struct.pack(">ii", num_frames, num_verts))
        self._handle.write((np.arange(num_frames) / fps).astype(">f4").tobytes())

    def add(self, points: Points) -> None:
        """Writes the next frame `[verts, 3]`."""
        self._handle.write(points.astype(">f4").tobytes())

    def close(self) -> None:
        """Ends the file."""
        self._handle.close()


@contextmanager
def new_dataset(out: Path, add: bool) -> Iterator[Path]:
    """An empty temporary folder whose files become those of the data set when the block ends without an exception.

    Added to a data set, archives of all shots get the new ones beside the old, and geometry is kept as it was.

    Args:
        out: folder of the data set.
        add: whether shots are added to one that is there.

    Raises:
        SceneError: the folder holds files and nothing should be added, or it cannot be written.
    """
    has_files = out.is_dir() and any(out.iterdir())
    if has_files and not add:
        raise SceneError(
            f"the folder {out} holds files already", "Choose another one, or add the shots to its data set with --add."
        )
    if has_files and not (out / RECORD).is_file():
        raise SceneError(f"the folder {out} holds no data set of these scripts", "Choose another folder.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        folder.chmod(0o755)
        yield folder
        if has_files:
            _merge(folder, out)
        else:
            if out.is_dir():
                out.rmdir()
            folder.rename(out)
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unwritable(out: Path, error: OSError) -> SceneError:
    return SceneError(f"{out} cannot be written: {error.strerror or error}", "Check free disk space and permissions.")


def check_addition(out: Path, fps: float, neutral: Points) -> None:
    """Refuses to add shots of another rate or another mesh.

    Raises:
        SceneError: with both values.
    """
    record = json.loads((out / RECORD).read_text(encoding="utf-8"))
    if abs(record["fps"] / fps - 1) > 1e-6:
        raise SceneError(
            f"the scene has {fps:.6g} frames per second, the data set in {out} {record['fps']:.6g}",
            "All shots of an actor have one rate: set it in the scene, or export to another folder.",
        )
    there = np.load(out / SKIN_NEUTRAL, allow_pickle=False)
    if there.shape != neutral.shape:
        raise SceneError(
            f"the skin has {len(neutral)} vertices, that of the data set in {out} {len(there)}",
            "All shots of an actor have one mesh: export this one to another folder.",
        )
    away = float(np.abs(there - neutral).max())
    if away > _SAME_NEUTRAL:
        raise SceneError(
            f"the neutral face differs by up to {away:.2f} cm from that of the data set in {out}",
            "Export with the same --neutral, --front and --scale, and from the same place in the scene.",
        )


def _merge(folder: Path, out: Path) -> None:
    """Archives first: a shot counts when its cache is there, which comes last."""
    for name in _ARCHIVES:
        if (folder / name).is_file() and (out / name).is_file():
            with np.load(out / name, allow_pickle=False) as old, np.load(folder / name, allow_pickle=False) as new:
                arrays = {**{key: old[key] for key in old.files}, **{key: new[key] for key in new.files}}
            np.savez(folder / name, **arrays)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in files]
    about = (out / "about.md").read_text(encoding="utf-8") + "\n" + (folder / "about.md").read_text(encoding="utf-8")
    (folder / "about.md").write_text(about, encoding="utf-8")
    replaced = [name for name in names if name in _ARCHIVES or name in ("about.md", RECORD)]
    for name in [*replaced, *(name for kind in _PER_SHOT for name in names if name.startswith(f"{kind}/"))]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).replace(out / name)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write_array(path: Path, array: Any) -> None:
    """Writes a .npy file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)


def write_archive(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an uncompressed .npz file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


def polygons(mesh: Mesh) -> Integers:
    """The polygons as rows, `[faces, 3 or 4]`; the fourth corner of a triangle is -1, larger ones become triangles."""
    starts = np.cumsum(mesh.counts) - mesh.counts
    rows = [
        np.column_stack([mesh.corners[starts[mesh.counts == 4, None] + np.arange(4)]]),
        _with_triangle(mesh.corners[starts[mesh.counts == 3, None] + np.arange(3)]),
    ]
    for start, count in zip(starts[mesh.counts > 4], mesh.counts[mesh.counts > 4]):  # noqa: B905 (Maya's Python 3.9)
        ring = mesh.corners[start : start + count]
        fan = np.column_stack([np.repeat(ring[0], count - 2), ring[1:-1], ring[2:]])
        rows.append(_with_triangle(fan))
    faces: Integers = np.concatenate(rows).astype(np.int64)
    return faces[:, :3] if len(faces) and (faces[:, 3] == _TRIANGLE).all() else faces


def _with_triangle(corners: Integers) -> Integers:
    return np.column_stack([corners, np.full(len(corners), _TRIANGLE)])


def write_obj(path: Path, points: Points, faces: Integers) -> None:
    """Writes a mesh as OBJ, vertices in order."""
    lines = ["# Neutral face: centimetres, y upwards, z out of the face; vertices in the order of all caches", "o skin"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in points.tolist()]
    lines += ["f " + " ".join(str(corner + 1) for corner in row if corner != _TRIANGLE) for row in faces.tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_blendshapes(folder: Path, part: str, neutral: Points, shapes: Mapping[str, Points]) -> None:
    """Writes a set of blend shapes in the SDK's form, and the settings of its solver.

    Args:
        folder: for the two files.
        part: "skin" or "tongue".
        neutral: `[verts, 3]`.
        shapes: offsets `[verts, 3]` by name.
    """
    names = list(shapes)
    arrays: dict[str, Any] = {"poseNames": np.array(["neutral", *names], dtype="S")}
    arrays["neutral"] = neutral.astype(np.float32)
    arrays.update({name: delta.astype(np.float32) for name, delta in shapes.items()})
    if part == "skin":
        arrays["frontalMask"] = np.flatnonzero(neutral[:, 2] > np.median(neutral[:, 2])).astype(np.int32)
    arrays["rig_version"] = np.array(b"1")
    write_archive(folder / f"bs_{part}.npz", arrays)
    count = len(names)
    parameters = {
        "strengthL2regularization": 0.05,
        "strengthL1regularization": 0.5 if part == "skin" else 1.0,
        "strengthTemporalSmoothing": 0.01,
        "strengthSymmetry": 100.0,
        "numPoses": count,
        "bsSolveActivePoses": [int(not name.startswith(_UNSOLVED)) for name in names],
        "bsSolveCancelPoses": [-1] * count,
        "bsSolveSymmetryPoses": _symmetry(names),
        "bsWeightMultipliers": [1.0] * count,
        "bsWeightOffsets": [0.0] * count,
        "templateBBSize": round(float(np.linalg.norm(np.ptp(neutral, axis=0))), 4),
    }
    write_json(folder / f"bs_{part}_config.json", {"blendshape_params": parameters})


def _symmetry(names: Sequence[str]) -> list[int]:
    """A common number for each left and right shape that mirror each other, -1 for all others."""
    stems = [
        name[: -len("Left")]
        for name in names
        if name.endswith("Left") and name[: -len("Left")] + "Right" in names and not name.startswith(_UNLIKE)
    ]
    ids = {f"{stem}{side}": number for number, stem in enumerate(stems) for side in ("Left", "Right")}
    return [ids.get(name, -1) for name in names]
