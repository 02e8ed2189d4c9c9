"""Regions of a face on which metrics are measured, and the mouth opening as a linear function of its vertices.

Lists of the dataset mark the lips. Where there are none, the vertices that move most in recorded motion stand for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audio2face.animation.skin import face_mask
from audio2face.dataset import ActorDataset
from audio2face.errors import FileFormatError, UserError
from audio2face.evaluate.amplitude import principal_weights
from audio2face.io.arrays import read_json, read_npy
from audio2face.types import AnyArray, Float32Array, Float64Array, FloatArray, Int64Array

NAMES = ("lips", "upper_face", "lower_face")
PAIRS_SOURCE = "SKIN_LIP_DIST_VERTEX_LIST_FPATH"
MASK_LEVEL, MASK_SOFTNESS = 0.6, 0.0085  # of post-processing, as the SDK's default
_LOWER, _UPPER = 0.5, 0.1  # the mask is above the one in the lower face, and below the other in the upper face
_MOVING_VERTS = 64
_SAMPLED_SHOTS, _SAMPLED_FRAMES = 64, 4
_HINT = "Write one flat list of vertex numbers counted from 0, as JSON ([12, 13, 40]) or as a .npy array of integers."


@dataclass(frozen=True, eq=False)
class Region:
    """Some vertices of the skin.

    Attributes:
        vertices: their indices, ascending and unique, int64 `[vertices]`.
        source: the parameter or file that lists them, or how they were derived.
    """

    vertices: Int64Array
    source: str

    def __len__(self) -> int:
        """Number of vertices."""
        return len(self.vertices)

    @property
    def sha256(self) -> str:
        """Checksum of the indices as little-endian int64, in hexadecimal."""
        return hashlib.sha256(self.vertices.astype("<i8").tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Mouth:
    """The vertices that measure how far the mouth is open; its opening is linear in their positions.

    Attributes:
        region: the vertices.
        weights: the opening is the sum of these times the offsets from neutral, float64 `[vertices, 3]`.
    """

    region: Region
    weights: Float64Array

    @classmethod
    def from_pairs(cls, pairs: Int64Array, source: str) -> Mouth:
        """The opening is the height of the upper over the lower vertices, mean over the pairs `[2, pairs]`."""
        vertices = np.unique(pairs)
        weights = np.zeros((len(vertices), 3))
        for row, sign in zip(pairs, (1.0, -1.0), strict=True):
            np.add.at(weights[:, 1], np.searchsorted(vertices, row), sign / pairs.shape[1])
        return cls(Region(vertices, source), weights)

    def opening(self, offsets: FloatArray) -> Float64Array:
        """The opening above the neutral one, `[frames]`, in the unit of the offsets from neutral `[frames, verts, 3]`.

        Each frame's value is the same in any block of frames.
        """
        products = np.asarray(offsets, np.float64) * self.weights
        return np.asarray(products.reshape(len(products), -1).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of one face.

    Attributes:
        neutral: positions of the neutral skin, float32 `[verts, 3]`, centimetres.
        lips: the vertices on which lip errors are measured.
        mouth: those that measure the opening of the mouth.
        upper_face: brows, forehead and lids; None where there is no such vertex.
        pairs: paired vertices of the upper and the lower lip, int64 `[2, pairs]`; None without a list.
        others: further regions, by name.
    """

    neutral: Float32Array
    lips: Region
    mouth: Mouth
    upper_face: Region | None = None
    pairs: Int64Array | None = None
    others: Mapping[str, Region] = field(default_factory=dict)

    @classmethod
    def from_dataset(
        cls,
        dataset: ActorDataset,
        given: Mapping[str, Region] | None = None,
        neutral: Float32Array | None = None,
    ) -> Regions:
        """The regions of an actor: those given, then those of the dataset's lists, then those that move in its shots.

        Args:
            dataset: the actor's data; its shots are read only where no list pairs the lips.
            given: regions by name, which take precedence.
            neutral: the neutral skin `[verts, 3]`; None: the dataset's.

        Raises:
            UserError: there is no neutral pose, a list does not fit the mesh, or nothing marks the lips or moves.
        """
        neutral = dataset.skin_neutral if neutral is None else neutral
        if neutral is None:
            raise UserError(
                f"actor {dataset.actor!r} has no neutral pose", hint="Give SKIN_NEUTRAL_FPATH in config_dataset.py."
            )
        pairs = None if dataset.lip_dist is None else np.stack([dataset.lip_dist.upper, dataset.lip_dist.lower])
        return cls.build(neutral, pairs, _listed_lips(dataset, len(neutral)), sample_motion(dataset), given)

    @classmethod
    def build(
        cls,
        neutral: Float32Array,
        pairs: Int64Array | None = None,
        lips: Region | None = None,
        motion: Iterable[Float32Array] = (),
        given: Mapping[str, Region] | None = None,
    ) -> Regions:
        """The regions of a face from what is known of it.

        Args:
            neutral: the neutral skin `[verts, 3]`, centimetres.
            pairs: paired vertices of the upper and the lower lip, `[2, pairs]`.
            lips: all marked vertices of the lips; None: the vertices of `pairs`.
            motion: blocks of recorded frames, read only without pairs.
            given: regions by name, which take precedence.

        Raises:
            UserError: a list does not fit the mesh, or nothing marks the lips or moves.
        """
        others = dict(given or {})
        for region in others.values():
            _check_fits(region.vertices, len(neutral), region.source)
        mask = face_mask(neutral, MASK_LEVEL, MASK_SOFTNESS)
        lips = others.pop("lips", lips)
        if pairs is not None:
            _check_fits(pairs, len(neutral), PAIRS_SOURCE)
            mouth = Mouth.from_pairs(pairs, PAIRS_SOURCE)
        else:
            mouth = _moving_mouth(neutral, motion, np.flatnonzero(mask > _LOWER) if lips is None else lips.vertices)
        derived = Region(np.flatnonzero(mask < _UPPER), f"where the mask of post-processing is below {_UPPER:g}")
        upper = others.pop("upper_face", derived)
        return cls(neutral, lips or mouth.region, mouth, upper if len(upper) else None, pairs, others)

    def all(self) -> dict[str, Region]:
        """Every region by name, in the order of reports."""
        named = {"lips": self.lips, "mouth": self.mouth.region, "upper_face": self.upper_face, **self.others}
        return {name: region for name, region in named.items() if region is not None}


def _listed_lips(dataset: ActorDataset, num_verts: int) -> Region | None:
    """All vertices that the dataset's lists mark as lips; None without a list."""
    marked = {PAIRS_SOURCE: dataset.lip_dist, "SKIN_LIP_SIZE_VERTEX_LIST_FPATH": dataset.lip_size}
    found = {name: vertices.all() for name, vertices in marked.items() if vertices is not None}
    for name, vertices in found.items():
        _check_fits(vertices, num_verts, name, dataset.paths[name])
    return Region(np.unique(np.concatenate(list(found.values()))), " and ".join(found)) if found else None


def sample_motion(dataset: ActorDataset) -> Iterator[Float32Array]:
    """Yields frames `[1, verts, 3]` spread evenly over a dataset: at most 64 shots, and 4 frames of each."""
    names = dataset.shot_names
    for index in np.unique(np.linspace(0, len(names) - 1, min(len(names), _SAMPLED_SHOTS)).round().astype(int)):
        skin = dataset.shot(names[index]).skin()
        for frame in np.unique(np.linspace(0, skin.num_frames - 1, _SAMPLED_FRAMES).round().astype(int)):
            yield skin.read(int(frame), int(frame) + 1)


def _moving_mouth(neutral: Float32Array, motion: Iterable[Float32Array], among: Int64Array) -> Mouth:
    """The vertices among some that move most, and the direction in which they move together."""
    offsets = [np.asarray(frames[:, among], np.float64) - neutral[among] for frames in motion]
    if not offsets:
        raise UserError(
            "nothing marks the lips of this face",
            hint="Give SKIN_LIP_DIST_VERTEX_LIST_FPATH in config_dataset.py, or --region lips=FILE.",
        )
    moved = np.concatenate(offsets)
    variance = moved.var(axis=0).sum(axis=1)
    most = np.argsort(-variance, kind="stable")[:_MOVING_VERTS]
    most = np.sort(most[variance[most] > 0])
    if len(most) == 0:
        raise UserError("the lower face does not move in the recordings", hint="Check the skin caches.")
    source = f"the {len(most)} vertices of the lower face that move most in recorded motion"
    return Mouth(Region(among[most], source), principal_weights([moved[:, most]]))


# --- files ------------------------------------------------------------------------------------------------------------


def read_region(path: Path, num_verts: int | None = None) -> Region:
    """Reads the vertices of a region from a JSON list or a `.npy` array of integers, in any order.

    Args:
        path: the file.
        num_verts: number of vertices of the mesh, where it is known.

    Raises:
        UserError: the file is missing, or (FileFormatError) holds no list of vertices of this mesh.
    """
    if not path.is_file():
        raise UserError("there is no such list of vertices", path=path, hint=_HINT)
    values = read_npy(path) if path.suffix.lower() == ".npy" else _from_json(path)
    if values.ndim != 1 or values.size == 0 or not np.issubdtype(values.dtype, np.integer):
        raise FileFormatError(
            f"holds {values.dtype} values of shape {list(values.shape)}, expected a list of vertex numbers",
            path=path,
            hint=_HINT,
        )
    if values.min() < 0:
        raise FileFormatError(f"names vertex {values.min()}", path=path, hint=_HINT)
    vertices = np.unique(values.astype(np.int64))
    if num_verts is not None:
        _check_fits(vertices, num_verts, "the list", path)
    return Region(vertices, str(path))


def parse_region(text: str) -> tuple[str, Path]:
    """Splits the argument `NAME=FILE` of `--region`.

    Raises:
        UserError: there is no `=`, or no region of this name.
    """
    name, separator, path = text.partition("=")
    if not separator or name not in NAMES or not path:
        raise UserError(
            f"--region {text!r} is not NAME=FILE", hint=f"NAME is one of {', '.join(NAMES)}; FILE lists its vertices."
        )
    return name, Path(path)


def _from_json(path: Path) -> AnyArray:
    value = read_json(path)
    if not isinstance(value, list) or any(type(item) is not int or not -1 < item < 2**31 for item in value):
        raise FileFormatError("is not a list of vertex numbers (0 or above)", path=path, hint=_HINT)
    return np.array(value, np.int64)


def _check_fits(vertices: Int64Array, num_verts: int, what: str, path: Path | None = None) -> None:
    if vertices.max() >= num_verts:
        raise UserError(
            f"{what} names vertex {vertices.max()} of a mesh of {num_verts} vertices",
            path=path,
            hint="Vertices are counted from 0; the list must have been made for this mesh.",
        )
