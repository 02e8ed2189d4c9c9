"""Training of example-regression: on the clips of example-diffusion."""

EXTENDS = "example-diffusion"

RUN_NAME = "example-regression"
NETWORK_VERSION = "2.3"
NETWORK_TYPE = "regression"

NUM_EPOCHS = 50
LOSS_LIP_DIST_ALPHA = 1e2
LOSS_PHONEME_ALPHA = None
LOSS_PHONEME_MOTION_ALPHA = None
