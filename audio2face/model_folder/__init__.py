"""The folder that a network is deployed in, as the Audio2Face-3D SDK reads it: types, reader, writer, lint.

Numbers and files only: nothing here needs the framework that networks are trained with.
"""

from audio2face.animation import SolverSettings, parameter_ranges
from audio2face.model_folder.actor import AnimationConfig, select_arrays
from audio2face.model_folder.blendshapes import BlendshapeSet
from audio2face.model_folder.diffusion import DiffusionInfo
from audio2face.model_folder.model import DeployedActor, DeployedModel, lint, model_digest
from audio2face.model_folder.network_info import NetworkInfo, TensorShape
from audio2face.model_folder.regression import EmotionDatabase, RegressionInfo
from audio2face.model_folder.streaming import StreamingInfo
from audio2face.model_folder.trt_info import engine_command, make_trt_info
from audio2face.model_folder.validation import Diagnostic

__all__ = [
    "AnimationConfig",
    "BlendshapeSet",
    "DeployedActor",
    "DeployedModel",
    "Diagnostic",
    "DiffusionInfo",
    "EmotionDatabase",
    "NetworkInfo",
    "RegressionInfo",
    "SolverSettings",
    "StreamingInfo",
    "TensorShape",
    "engine_command",
    "lint",
    "make_trt_info",
    "model_digest",
    "parameter_ranges",
    "select_arrays",
]
