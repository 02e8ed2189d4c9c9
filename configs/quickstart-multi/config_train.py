"""Training of quickstart-multi: that of quickstart-diffusion, with twice the data in an epoch."""

EXTENDS = "quickstart-diffusion"

RUN_NAME = "quickstart-multi"
NUM_EPOCHS = 40
TIME_LIMIT_MINUTES = 12.0
