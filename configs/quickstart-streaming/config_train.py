"""Training of quickstart-streaming: on the newest preprocessing run of each actor, all shots whole."""

RUN_NAME = "quickstart-streaming"
NETWORK_TYPE = "streaming"

# Two frames of 30 per second, 66 ms, from the time of a frame to the last sample that it depends on.
LOOK_AHEAD_FRAMES = 2

# Three and a half minutes of motion, trained in two minutes on two cores.
SPEECH_FEATURE_NOISE = 0.5
LOSS_LIP_POSITION_ALPHA = 10.0
GRADIENT_CLIP_NORM = 1.0
EMA_DECAY = 0.99
NUM_EPOCHS = 100
VALIDATION_PERIOD_EPOCHS = 20
TIME_LIMIT_MINUTES = 6.0  # on a slow machine it ends here, and the result is a little worse
