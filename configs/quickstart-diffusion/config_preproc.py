"""Preprocessing of quickstart-diffusion."""

RUN_NAME = "quickstart"

# Past about a hundred poses this actor's shapes hardly change; the default suits hours of captured motion.
SKIN_SELECT_DISTINCT_MAX_ITER = 200
