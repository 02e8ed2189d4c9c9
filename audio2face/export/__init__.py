"""Animation on disk, in the forms that other programs read. NumPy only, but for the libraries of single formats.

What a network says itself (`RawMotion`) is written as the reference does; a finished face (`Animation`), which went
through the animator, in the forms that artists use.
"""

from audio2face.export.animation import Animation, BlendWeights, Surface
from audio2face.export.raw_motion import RawMotion, spool
from audio2face.export.raw_writers import write_maya_caches, write_rows, write_transforms

__all__ = [
    "Animation",
    "BlendWeights",
    "RawMotion",
    "Surface",
    "spool",
    "write_maya_caches",
    "write_rows",
    "write_transforms",
]
