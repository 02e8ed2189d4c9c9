"""Preprocessing of example-diffusion-min."""

RUN_NAME = "example-min"
RUN_INFO = "Only audio and the animation of the skin are needed."
