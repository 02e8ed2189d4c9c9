"""Training of quickstart-diffusion: on the newest preprocessing run of each actor, all shots whole."""

RUN_NAME = "quickstart-diffusion"
NETWORK_TYPE = "diffusion"
