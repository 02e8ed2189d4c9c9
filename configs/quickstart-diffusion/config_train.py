"""Training of quickstart-diffusion: on the newest preprocessing run of each actor, all shots whole."""

RUN_NAME = "quickstart-diffusion"
NETWORK_TYPE = "diffusion"

# Weights that come with a package: nothing is fetched. HuBERT (the default) is better and takes hours on a CPU.
SPEECH_ENCODER = "hama"

# The layer that tells most of phonemes; and losses that are about the lips, which are few of all vertices.
SPEECH_ENCODER_LAYERS = [2]
LOSS_LIP_POSITION_ALPHA = 0.1
LOSS_LIP_DIST_ALPHA = 1e-3

# Three and a half minutes of motion, trained in minutes on two cores: many short segments and a high learning rate.
SUBSEGMENT_MAX_FRAME = 120
BATCH_SIZE = 4
GRADIENT_ACCUMULATION_STEPS = 1
LEARNING_RATE = 1e-3
NUM_EPOCHS = 60
VALIDATION_PERIOD_EPOCHS = 20
TIME_LIMIT_MINUTES = 7.0  # on a slow machine it ends here, and the result is a little worse
