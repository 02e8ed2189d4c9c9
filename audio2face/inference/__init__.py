"""A deployed network over time: windows of audio in, frames of motion out. NumPy and ONNX Runtime only.

`Executor` is what consumers use: any deployed folder, several tracks, sound in pieces of any length. `animate_windows`
with `GraphStream` cuts a recording as the reference framework does, for whoever compares with it.
"""

from audio2face.inference.batches import DiffusionBatch, GraphStream, NetworkBatch, RegressionBatch
from audio2face.inference.diffusion_graph import DiffusionGraph, GraphDevice, best_device
from audio2face.inference.emotion import EmotionCurve
from audio2face.inference.emotion_files import EmotionNames, EmotionWish
from audio2face.inference.executor import Executor, Graph, Motion, TrackSettings, open_graph
from audio2face.inference.noise import Noise, read_noise, repeated_noise, seeded_noise
from audio2face.inference.regression_graph import RegressionGraph
from audio2face.inference.samples import SampleBuffer
from audio2face.inference.schedule import FrameSchedule, SlidingWindows
from audio2face.inference.windows import WindowPlan, animate_windows

__all__ = [
    "DiffusionBatch",
    "DiffusionGraph",
    "EmotionCurve",
    "EmotionNames",
    "EmotionWish",
    "Executor",
    "FrameSchedule",
    "Graph",
    "GraphDevice",
    "GraphStream",
    "Motion",
    "NetworkBatch",
    "Noise",
    "RegressionBatch",
    "RegressionGraph",
    "SampleBuffer",
    "SlidingWindows",
    "TrackSettings",
    "WindowPlan",
    "animate_windows",
    "best_device",
    "open_graph",
    "read_noise",
    "repeated_noise",
    "seeded_noise",
]
