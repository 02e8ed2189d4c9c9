"""Export of animations to file formats of other programs. NumPy, plus a library for some formats.

Raw network output (`RawMotion`) is written like the reference, post-processed animation (`Animation`) in artists'
formats.
"""

from audio2face.animation.animation import Animation, BlendWeights, Surface, buffer_frames
from audio2face.export.formats import FORMATS, Format, write_formats
from audio2face.export.point_caches import RawMotion, write_maya_caches, write_rows, write_transforms
from audio2face.export.tables import write_sound

__all__ = [
    "FORMATS",
    "Animation",
    "BlendWeights",
    "Format",
    "RawMotion",
    "Surface",
    "buffer_frames",
    "write_formats",
    "write_maya_caches",
    "write_rows",
    "write_sound",
    "write_transforms",
]
