"""Trains networks that turn speech into skin, tongue, jaw and eye animation, and animates with them.

A deployed model animates a recording in three lines; PyTorch is not needed:

    import audio2face

    model = audio2face.load("workspace/output_deploy/261123_101500_first-try")
    animation = model.animate("speech.wav", emotion="joy")
    animation.save("out", formats=["page", "glb"])

and audio while it arrives:

    stream = model.stream(samplerate=48_000, emotion="joy")
    for samples in microphone:
        stream.push(samples)
        for frame in stream.frames():
            show(frame.time, frame.skin)

and a face for each moment of a clock, whatever the source does:

    session = model.live(samplerate=48_000)
    session.push(samples, now=time.monotonic())
    for frame in session.frames(now=time.monotonic()):
        show(frame.time, frame.skin)

and a face that was never recorded, the built-in head or a character of your own:

    audio2face.load_rig("example").animate("speech.wav", emotion="joy").save("out")

`help(audio2face.Model)`, `help(audio2face.SpeechAnimation)`, `help(audio2face.AnimationStream)` and
`help(audio2face.LiveSession)` explain them. Names are loaded when they are first used. Training has commands of its
own: `run_train.py` and the other `run_*.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audio2face.animation.animation import Animation, AnimationFrame
    from audio2face.api import Model, RiggedFace, SpeechAnimation, load, load_rig
    from audio2face.errors import UserError
    from audio2face.inference.live import LiveSession
    from audio2face.inference.streaming import AnimationStream

__version__ = "0.1.0"
__all__ = [
    "Animation",
    "AnimationFrame",
    "AnimationStream",
    "LiveSession",
    "Model",
    "RiggedFace",
    "SpeechAnimation",
    "UserError",
    "__version__",
    "load",
    "load_rig",
]

_MODULES = {
    "Animation": "animation.animation",
    "AnimationFrame": "animation.animation",
    "AnimationStream": "inference.streaming",
    "LiveSession": "inference.live",
    "Model": "api",
    "RiggedFace": "api",
    "SpeechAnimation": "api",
    "UserError": "errors",
    "load": "api",
    "load_rig": "api",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for (PEP 562), so that `import audio2face` loads nothing else."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
