"""Training of quickstart-regression: on the newest preprocessing run of each actor, all shots whole."""

RUN_NAME = "quickstart-regression"
NETWORK_TYPE = "regression"

# Weights that come with a package: nothing is fetched.
SPEECH_ENCODER = "hama"

# Three and a half minutes of motion, learnt in minutes on two cores.
NUM_EPOCHS = 6
LEARNING_RATE = 1e-3
VALIDATION_PERIOD_EPOCHS = 2
TIME_LIMIT_MINUTES = 6.0  # on a slow machine it ends here, and the result is a little worse
