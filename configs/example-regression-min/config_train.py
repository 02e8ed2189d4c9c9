"""Training of example-regression-min."""

EXTENDS = "example-regression"

RUN_NAME = "example-regression-min"
RUN_INFO = "Only audio and the animation of the skin are needed."
PREPROC_RUN_NAME_FULL = {"claire": "XXXXXX_XXXXXX_example-min"}
