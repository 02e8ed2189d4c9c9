"""A deployed network over time: windows of audio in, frames of motion out. NumPy and ONNX Runtime only.

How a recording is animated::

    network = DiffusionGraph.open(folder)
    plan = WindowPlan.of(network.info)
    noise = seeded_noise(0, network.info.frames, network.info.values)
    for motion in animate_windows(plan, track, GraphStream(network, identity, emotion, noise)):
        ...     # float32 [frames, values], displacements from the face at rest
"""

from audio2face.inference.diffusion_graph import DiffusionGraph, GraphDevice, GraphStream, best_device
from audio2face.inference.noise import Noise, read_noise, repeated_noise, seeded_noise
from audio2face.inference.windows import WindowPlan, animate_windows

__all__ = [
    "DiffusionGraph",
    "GraphDevice",
    "GraphStream",
    "Noise",
    "WindowPlan",
    "animate_windows",
    "best_device",
    "read_noise",
    "repeated_noise",
    "seeded_noise",
]
