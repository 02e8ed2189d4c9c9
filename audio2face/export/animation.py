"""The finished animation under the name that consumers import; it is defined in `audio2face.animation.animation`."""

from audio2face.animation.animation import Animation, BlendWeights, Surface

__all__ = ["Animation", "BlendWeights", "Surface"]
