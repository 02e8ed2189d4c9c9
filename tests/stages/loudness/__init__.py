"""The smallest family of networks: it predicts the face from the loudness of the window alone."""

from audio2face.families import Family

# The entry point of the package, in the group "audio2face.families", is this object.
FAMILY = Family(
    name="loudness",
    train_parameters="loudness.train_parameters",
    inference_parameters="loudness.inference_parameters",
    training="loudness.training",
    deploy="loudness.deploy",
    info="loudness.runtime:LoudnessInfo",
    session="loudness.runtime:LoudnessSession",
)
