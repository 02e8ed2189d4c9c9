"""Export of animations to file formats of other programs. NumPy, plus a library for some formats.

What a network says itself (`RawMotion`) is written as the reference does; a finished face (`Animation`), which went
through the animator, in the forms that artists use.
"""

from audio2face.animation.animation import Animation, BlendWeights, Surface
from audio2face.export.formats import FORMATS, Format, write_formats
from audio2face.export.raw_motion import RawMotion, write_maya_caches, write_rows, write_transforms
from audio2face.export.tables import write_sound
from audio2face.io.frame_buffer import buffer_frames

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
