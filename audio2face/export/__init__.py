"""Animation on disk, in the forms that other programs read. NumPy only.

How a finished animation is written::

    values = spool(blocks, num_frames, num_values, folder)
    animation = Animation(fps, values, neutral_skin, neutral_tongue, jaw_size)
    write_maya_caches(animation, folder, name)
"""

from audio2face.export.animation import Animation, spool
from audio2face.export.writers import write_maya_caches, write_rows, write_transforms

__all__ = ["Animation", "spool", "write_maya_caches", "write_rows", "write_transforms"]
