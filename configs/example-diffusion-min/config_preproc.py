"""Preprocessing of example-diffusion-min."""

RUN_NAME = "example-min"
RUN_INFO = "Needs only audio and the skin's animation."
