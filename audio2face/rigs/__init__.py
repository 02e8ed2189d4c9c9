"""Faces without any recording: characters with ARKit's shapes, and their animation from speech by rules.

`open_rig` opens a built-in head or the file of a character; `RigPipeline` animates recordings on it.
"""

from audio2face.rigs.expression import RIG_EMOTIONS
from audio2face.rigs.opening import open_rig
from audio2face.rigs.pipeline import RIG_PARAMETERS, RigOptions, RigPipeline
from audio2face.rigs.rig import Rig

__all__ = ["RIG_EMOTIONS", "RIG_PARAMETERS", "Rig", "RigOptions", "RigPipeline", "open_rig"]
