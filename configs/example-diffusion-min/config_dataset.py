"""Dataset of example-diffusion-min: the Claire sample dataset with only what is required."""

EXTENDS = "example-regression-min"

TRANSFORM_SCALE = {"claire": {"skin": 1.0, "tongue": 1.0, "jaw": 1.0, "eye": 1.0}}
