"""Training of quickstart-multi: on the newest preprocessing run of each actor, all shots whole."""

RUN_NAME = "quickstart-multi"
NETWORK_TYPE = "diffusion"
