"""Dataset of example-diffusion-min: the Claire sample dataset with only what is required."""

_CLAIRE = "/datasets/Audio2Face-3D-Dataset-v1.0.0-claire/data/claire"

AUDIO_ROOT = {"claire": f"{_CLAIRE}/audio"}
SKIN_CACHE_ROOT = {"claire": f"{_CLAIRE}/cache/skin"}

SHOT_EMOTION_NAMES = [
    "neutral",
    "amazement",
    "anger",
    "cheekiness",
    "disgust",
    "fear",
    "grief",
    "joy",
    "outofbreath",
    "pain",
    "sadness",
]
CACHE_FPS = {"claire": 30.0}
ACTOR_NAMES = ["claire"]
TRANSFORM_SCALE = {"claire": {"skin": 1.0, "tongue": 1.0, "jaw": 1.0, "eye": 1.0}}
