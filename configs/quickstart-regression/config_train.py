"""Training of quickstart-regression: on the newest preprocessing run of each actor, all shots whole."""

RUN_NAME = "quickstart-regression"
NETWORK_TYPE = "regression"
