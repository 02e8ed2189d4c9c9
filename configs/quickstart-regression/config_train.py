"""Training of quickstart-regression: on the newest preprocessing run of each actor, all shots whole."""

RUN_NAME = "quickstart-regression"
NETWORK_TYPE = "regression"

# Weights that come with a package: nothing is fetched.
SPEECH_ENCODER = "hama"

# The layer that tells most of phonemes; and a loss that is about the lips, which are few of all vertices.
SPEECH_ENCODER_LAYERS = [2]
LOSS_LIP_POSITION_ALPHA = 30.0

# Three and a half minutes of motion, trained in minutes on two cores.
NUM_EPOCHS = 6
LEARNING_RATE = 1e-3
VALIDATION_PERIOD_EPOCHS = 2
TIME_LIMIT_MINUTES = 6.0  # on a slow machine it ends here, and the result is a little worse
