"""Inference of quickstart-multi."""

CONDITION = "ada"
ACTOR_NAME = "ada"
EMOTION_LABEL = "neutral"
TIMESTEP_RESPACING = "2"
INFERENCE_MODE = "offline"
