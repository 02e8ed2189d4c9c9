"""The contents of a page as JSON that refers to arrays: meshes, curves and metadata of each animation.

`web/description.js` declares the types. All times are frames of the first animation; a second one is resampled to them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from audio2face.animation.animation import Animation, Surface
from audio2face.animation.parts import RigidPart, rigid_parts
from audio2face.evaluate.lips import lip_distance
from audio2face.geometry.mesh import DEFAULT_COLOURS
from audio2face.inference.retiming import FrameBlock, Retimer
from audio2face.player.motion_codec import Payload, check_finite, encode_motion
from audio2face.types import MM_PER_CM, AnyArray, Float32Array, Int32Array

Description = dict[str, Any]

_BLOCK_FRAMES = 64
_SAMPLED_FRAMES = 64  # for the percentile
_USUAL_PERCENT = 98.0
_LIPS = ("lip_upper", "lip_lower")


def describe_clip(animation: Animation, label: str, payload: Payload) -> Description:
    """Describes one animation: all that the page draws.

    Args:
        animation: the face.
        label: its name on the page.
        payload: receives the arrays.

    Raises:
        UserError: a value is not finite.
    """
    meshes = [_mesh("skin", animation.skin, animation.parts, payload)]
    if animation.tongue is not None and animation.tongue.num_verts:
        meshes.append(_mesh("tongue", animation.tongue, animation.parts, payload))
    lips = lip_curve(animation)
    return {
        "label": label,
        "actor": animation.actor,
        "facts": metadata_rows({"actor": animation.actor, **animation.facts}),
        "meshes": meshes,
        "rigidParts": describe_rigid_parts(animation, payload),
        "jaw": _curves(animation.jaw, payload),
        "eyes": _curves(animation.eyes, payload),
        "lips": None if lips is None else payload.add(lips),
        "mouth": mouth_centre(animation),
        "emotions": list(animation.emotions),
        "emotion": _curves(animation.emotion, payload),
        "poses": list(animation.skin_weights.names) if animation.skin_weights else [],
        "poseWeights": _curves(animation.skin_weights.values, payload) if animation.skin_weights else None,
    }


def _curves(values: Float32Array, payload: Payload) -> Description:
    """Adds values per frame, `[frames, ...]`, as float32."""
    check_finite(values)
    return payload.add(np.asarray(values, np.float32))


def _mesh(name: str, surface: Surface, parts: Mapping[str, AnyArray], payload: Payload) -> Description:
    code = encode_motion(surface.frames)
    return describe_surface(name, surface, parts, payload) | {
        "mean": payload.add(code.mean),
        "components": payload.add(code.components),
        "weights": payload.add(code.weights),
        "scales": payload.add(code.scales),
        "meanError": code.mean_mm,
        "worstError": code.worst_mm,
    }


def describe_surface(name: str, surface: Surface, parts: Mapping[str, AnyArray], payload: Payload) -> Description:
    """Describes a deforming mesh without its motion: polygons and colours.

    Args:
        name: "skin" or "tongue".
        surface: the mesh.
        parts: those of the animation.
        payload: receives the arrays.
    """
    colours = parts.get(f"extra_{name}_colours")
    faces = None if surface.faces is None else _with_outward_normals(surface.neutral, surface.faces)
    return {
        "name": name,
        "faces": None if faces is None else payload.add(faces),
        "colours": None if colours is None else payload.add(np.asarray(colours, np.uint8)),
        "colour": list(DEFAULT_COLOURS[name]),
    }


def describe_rigid_parts(animation: Animation, payload: Payload) -> list[Description]:
    """Describes eyes, teeth, or what stands for them."""
    return [_rigid_part(part, payload) for part in rigid_parts(animation)]


def _rigid_part(part: RigidPart, payload: Payload) -> Description:
    return {
        "name": part.name.replace("_", " "),
        "kind": part.kind,
        "follows": part.follows,
        "pivot": [float(value) for value in part.pivot],
        "faces": payload.add(_with_outward_normals(part.vertices, part.faces)),
        "vertices": payload.add(part.vertices),
        "colours": payload.add(part.colours),
    }


def _with_outward_normals(vertices: Float32Array, faces: Int32Array) -> Int32Array:
    """Polygons oriented so that the mesh encloses a positive volume around its centroid, int32 `[faces, 3 or 4]`."""
    around = vertices - vertices.mean(axis=0, dtype=np.float64)
    first, second, third = (around[faces[:, corner]] for corner in range(3))
    volume = float(np.einsum("fi,fi->", first, np.cross(second, third)))
    if volume >= 0:
        return faces
    turned = faces[:, :3][:, ::-1]
    if faces.shape[1] == 4:
        is_quad = faces[:, 3:] >= 0
        turned = np.where(is_quad, faces[:, ::-1], np.concatenate([turned, faces[:, 3:]], axis=1))
    return np.ascontiguousarray(turned, np.int32)


def mouth_centre(animation: Animation) -> list[float] | None:
    """Centre of the mouth in the neutral pose, `[3]`, centimetres; None without lip vertices."""
    if not all(name in animation.parts for name in _LIPS):
        return None
    lips = np.concatenate([animation.parts[name] for name in _LIPS])
    return [float(value) for value in animation.skin.neutral[lips].mean(axis=0)]


def lip_curve(animation: Animation) -> Float32Array | None:
    """Lip distance of each frame, millimetres, float32 `[frames]`; None without lip vertices."""
    if not all(name in animation.parts for name in _LIPS):
        return None
    upper, lower = (np.asarray(animation.parts[name], np.intp) for name in _LIPS)
    if not len(upper):
        return None
    pairs = np.stack([upper, lower])
    found = [lip_distance(block[:, pairs]) for block in animation.skin.blocks()]
    return np.asarray(MM_PER_CM * np.concatenate(found), np.float32)


def comparable(one: Animation, other: Animation) -> bool:
    """Whether two animations can be subtracted: the same actor with the same vertices."""
    return one.actor == other.actor and one.skin.num_verts == other.skin.num_verts


def describe_difference(one: Animation, other: Animation, payload: Payload) -> Description:
    """Distances between the vertices of two skins: curves over time, and their 98th percentile."""
    mean, largest = error_curves(one, other)
    sample = slice(None, None, math.ceil(one.num_frames / _SAMPLED_FRAMES))
    distances = np.linalg.norm(one.skin.frames[sample] - other.skin.frames[sample], axis=-1)
    usual = MM_PER_CM * float(np.percentile(distances, _USUAL_PERCENT))
    return {"mean": payload.add(mean), "largest": payload.add(largest), "usual": usual}


def error_curves(one: Animation, other: Animation) -> tuple[Float32Array, Float32Array]:
    """Distance between the vertices of two skins in each frame: mean and largest, millimetres, float32 `[frames]`."""
    means, largest = [], []
    for first in range(0, one.num_frames, _BLOCK_FRAMES):
        cut = slice(first, first + _BLOCK_FRAMES)
        distances = np.linalg.norm(one.skin.frames[cut] - other.skin.frames[cut], axis=-1)
        means.append(distances.mean(axis=1))
        largest.append(distances.max(axis=1))
    mean, worst = (np.asarray(MM_PER_CM * np.concatenate(parts), np.float32) for parts in (means, largest))
    return mean, worst


def resample_to(other: Animation, one: Animation) -> Animation:
    """An animation resampled to the frame times of another, without blend shapes; its last frame is held."""
    if other.fps == one.fps and other.num_frames == one.num_frames:
        return other
    retimer = Retimer[FrameBlock](Fraction(other.fps), Fraction(one.fps))
    parts = [retimer(block) for block in _blocks(other)]
    tail = retimer.finish(one.num_frames)
    read = reduce(FrameBlock.concatenate, parts if tail is None else [*parts, tail]).select(slice(one.num_frames))
    return replace(
        other,
        fps=one.fps,
        skin=replace(other.skin, frames=read.skin),
        tongue=None if other.tongue is None else replace(other.tongue, frames=read.tongue),
        jaw=read.jaw,
        eyes=read.eyes,
        emotion=read.emotion,
        skin_weights=None,
        tongue_weights=None,
    )


def _blocks(animation: Animation) -> Iterator[FrameBlock]:
    no_tongue = np.empty((animation.num_frames, 0, 3), np.float32)
    tongue = no_tongue if animation.tongue is None else animation.tongue.frames
    for first in range(0, animation.num_frames, _BLOCK_FRAMES):
        cut = slice(first, first + _BLOCK_FRAMES)
        arrays = (animation.skin.frames, tongue, animation.jaw, animation.eyes, animation.emotion)
        yield FrameBlock(*(np.asarray(array[cut], np.float32) for array in arrays))


def metadata_rows(facts: Mapping[str, Any]) -> list[list[Any]]:
    """Metadata as pairs of texts for the page; a nested mapping as its name and its pairs, one level deep."""
    return [[name.replace("_", " "), _metadata_value(value)] for name, value in facts.items()]


def _metadata_value(value: object) -> Any:
    if isinstance(value, Mapping):
        return [[str(name), _plain(item)] for name, item in value.items()]
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
