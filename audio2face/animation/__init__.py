"""Post-processing of network output into a finished face: arrays in, arrays out, with NumPy and SciPy only."""

from audio2face.animation.animator import FaceAnimator, FaceFrames
from audio2face.animation.bounded import unproject
from audio2face.animation.eyes import NATURAL_BLINK, BlinkTrack
from audio2face.animation.rigid import attach_to_jaw, rigid_transforms
from audio2face.animation.settings import AnimatorSettings, FaceData, parameter_ranges, stated_parameters
from audio2face.animation.solver import BlendshapeSolver, SolverMethod, SolverSettings

__all__ = [
    "NATURAL_BLINK",
    "AnimatorSettings",
    "BlendshapeSolver",
    "BlinkTrack",
    "FaceAnimator",
    "FaceData",
    "FaceFrames",
    "SolverMethod",
    "SolverSettings",
    "attach_to_jaw",
    "parameter_ranges",
    "rigid_transforms",
    "stated_parameters",
    "unproject",
]
