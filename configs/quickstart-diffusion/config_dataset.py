"""Dataset of quickstart-diffusion: the example actor, who comes with the framework."""

EXTENDS = "quickstart-regression"

TRANSFORM_SCALE = {"ada": {"skin": 1.0, "tongue": 1.0, "jaw": 1.0, "eye": 1.0}}
