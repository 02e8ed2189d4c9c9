"""Research data sets of the example actor, in the forms in which those of others are distributed."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from example_performances import performed
from scipy.spatial.transform import Rotation

from audio2face.example.head import Head
from audio2face.types import AnyArray, Float32Array

FPS = 30


@cache
def skin() -> Float32Array:
    """The skin in each frame of the sentence, centimetres, `[frames, verts, 3]`."""
    return Head.open("ada").skin(performed().weights)


def faces() -> AnyArray:
    return Head.open("ada").skin_part.faces


def neutral() -> Float32Array:
    return Head.open("ada").skin_part.vertices


def head_angles(count: int) -> Float32Array:
    """Yaw, pitch and roll of a head that moves as it speaks, degrees, `[frames, 3]`."""
    time = np.arange(count) / FPS
    return np.stack([8 * np.sin(1.3 * time), 5 * np.sin(2 * time), 3 * np.sin(time)], axis=1).astype(np.float32)


def with_head_motion(frames: Float32Array) -> Float32Array:
    """Frames whose head turns by `head_angles` and moves by two centimetres."""
    yaw, pitch, roll = head_angles(len(frames)).T
    turn = Rotation.from_euler("YXZ", np.stack([yaw, pitch, -roll], axis=1), degrees=True).as_matrix()
    shift = 2 * np.sin(np.arange(len(frames)) / FPS)[:, None] * np.array([1.0, 0.5, -0.3])
    return (np.einsum("fij,fvj->fvi", turn, frames) + shift[:, None]).astype(np.float32)


def z_up_metres(points: Float32Array) -> Float32Array:
    """Points in metres with z upwards, the face along -y, as Blender has them."""
    turned = np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)
    return np.asarray(turned / 100, np.float32)


def padded(points: Float32Array, count: int) -> Float32Array:
    """Points with further ones that repeat the first, as many as a data set's topology has."""
    return points[..., np.arange(count) % points.shape[-2], :]


def write_sound(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, performed().samples, performed().samplerate)


def write_array(path: Path, frames: Float32Array, *, flat: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, frames.reshape(len(frames), -1) if flat else frames)


def write_obj(path: Path, points: Float32Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in points.tolist()]
    lines += ["f " + " ".join(str(corner + 1) for corner in face if corner >= 0) for face in faces().tolist()]
    path.write_text("\n".join(lines))


def write_ply(path: Path, points: Float32Array, encoding: str = "binary_little_endian") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    polygons = [[corner for corner in face if corner >= 0] for face in faces().tolist()]
    head = (
        f"ply\nformat {encoding} 1.0\ncomment made by a test\nelement vertex {len(points)}\nproperty float x\n"
        f"property float y\nproperty float z\nelement face {len(polygons)}\nproperty list uchar int vertex_indices\n"
        "end_header\n"
    )
    if encoding == "ascii":
        rows = [" ".join(map(str, row)) for row in points.tolist()]
        rows += [" ".join(map(str, [len(face), *face])) for face in polygons]
        path.write_text(head + "\n".join(rows) + "\n")
        return
    order = "<" if "little" in encoding else ">"
    body = points.astype(f"{order}f4").tobytes()
    body += b"".join(struct.pack(f"{order}B{len(face)}i", len(face), *face) for face in polygons)
    path.write_bytes(head.encode() + body)


def write_vl(path: Path, points: Float32Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<I", len(points)) + points.astype("<f4").tobytes())


def write_bin(path: Path, points: Float32Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(points.astype("<f4").tobytes())
