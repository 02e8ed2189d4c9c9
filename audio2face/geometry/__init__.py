"""Meshes and animation caches, which are read and written in blocks of frames."""

from audio2face.geometry.cache_files import (
    CACHE_EXTENSIONS,
    FoundCache,
    find_cache,
    list_shots,
    list_strays,
    open_cache,
    write_cache,
)
from audio2face.geometry.flat_caches import write_mdd, write_npy, write_pc2
from audio2face.geometry.maya_cache import ChannelError
from audio2face.geometry.maya_writer import write_maya
from audio2face.geometry.mesh import canonical_polygons
from audio2face.geometry.point_cache import BLOCK_FRAMES, PointCache

__all__ = [
    "BLOCK_FRAMES",
    "CACHE_EXTENSIONS",
    "ChannelError",
    "FoundCache",
    "PointCache",
    "canonical_polygons",
    "find_cache",
    "list_shots",
    "list_strays",
    "open_cache",
    "write_cache",
    "write_maya",
    "write_mdd",
    "write_npy",
    "write_pc2",
]
