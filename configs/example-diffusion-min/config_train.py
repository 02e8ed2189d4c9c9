"""Training of example-diffusion-min."""

EXTENDS = "example-diffusion"

RUN_NAME = "example-diffusion-min"
RUN_INFO = "Only audio and the animation of the skin are needed."
PREPROC_RUN_NAME_FULL = {"claire": "XXXXXX_XXXXXX_example-min"}
