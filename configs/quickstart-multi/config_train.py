"""Training of quickstart-multi: on the newest preprocessing run of each actor, all shots whole."""

RUN_NAME = "quickstart-multi"
NETWORK_TYPE = "diffusion"

# As in quickstart-diffusion, with twice the data in an epoch.
SPEECH_ENCODER = "hama"
SPEECH_ENCODER_LAYERS = [2]
LOSS_LIP_POSITION_ALPHA = 0.1
LOSS_LIP_DIST_ALPHA = 1e-3
SUBSEGMENT_MAX_FRAME = 120
BATCH_SIZE = 4
GRADIENT_ACCUMULATION_STEPS = 1
LEARNING_RATE = 1e-3
NUM_EPOCHS = 40
VALIDATION_PERIOD_EPOCHS = 20
TIME_LIMIT_MINUTES = 12.0
