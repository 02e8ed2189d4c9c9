"""Parameters of `config_inference.py` for NETWORK_TYPE "streaming": post-processing of the network's output.

A configuration overrides the defaults; this file stays as it is.
"""

from __future__ import annotations

from typing import Annotated

from audio2face.config_base.types import Actor, AnimationParameters, Emotion, OutputFolder, dataset_file

# --- The deployed model -----------------------------------------------------------------------------------

# How the consumer of the deployed model turns the network's output into animation, for all actors. The
# Audio2Face-3D SDK refuses values outside the ranges given. The defaults suit the reference's actor;
# deployment calibrates the entries that a configuration does not set (CALIBRATE_POST_PROCESSING).
# Change it when the animation needs more or less articulation, lips that close, or teeth that show.
# Read by: deployment (writes model_config.json), inference.
CONFIG: AnimationParameters = {
    # Gain on the audio before it enters the network, which follows the level of the voice by itself.
    "input_strength": 1.3,
    # Half-life, in seconds, of each stage of the filter that smooths the upper face.
    "upper_face_smoothing": 0.001,
    # Half-life, in seconds, of each stage of the filter that smooths the lower face.
    "lower_face_smoothing": 0.0023,
    # Gain on the motion of the upper face.
    "upper_face_strength": 1.0,
    # Gain on the motion of the lower face; over 1 the mouth articulates more.
    "lower_face_strength": 1.7,
    # The boundary between upper and lower face, as a fraction of the face's height.
    "face_mask_level": 0.6,
    # The width of the transition at that boundary, as a fraction of the face's height.
    "face_mask_softness": 0.0085,
    # Gain on all motion of the skin.
    "skin_strength": 1.1,
    # Gain on blinks.
    "blink_strength": 1.0,
    # Gain on the motion of the lower teeth.
    "lower_teeth_strength": 1.3,
    # Moves the lower teeth up (cm).
    "lower_teeth_height_offset": -0.1,
    # Moves the lower teeth forward (cm).
    "lower_teeth_depth_offset": 0.25,
    # Opens the lips by this fraction of the lip open pose; negative closes them.
    "lip_open_offset": -0.05,
    # Gain on the motion of the tongue.
    "tongue_strength": 1.5,
    # Moves the tongue up (cm).
    "tongue_height_offset": 0.2,
    # Moves the tongue forward (cm); negative moves it back.
    "tongue_depth_offset": -0.3,
    # Gain on the network's eye rotations.
    "eyeballs_strength": 1.0,
    # Gain on the saccades that are played in a loop.
    "saccade_strength": 0.9,
    # Turns the right eye's pitch (degrees).
    "right_eye_rot_x_offset": 0.0,
    # Turns the right eye's yaw (degrees).
    "right_eye_rot_y_offset": -2.0,
    # Turns the left eye's pitch (degrees).
    "left_eye_rot_x_offset": 0.0,
    # Turns the left eye's yaw (degrees).
    "left_eye_rot_y_offset": 2.0,
    # Opens the lids by this fraction of the eye close pose; negative shuts them.
    "eyelid_open_offset": 0.06,
    # Frame of the saccades to start from.
    "eye_saccade_seed": 0,
    # How far lips, jaw and tongue are held at rest where nobody speaks, on a breath, a hum or noise: 0 not at all,
    # 1 entirely. Only this framework applies it; the Audio2Face-3D SDK does not read it. Speech in noise as loud as
    # itself is held too, and with a short look-ahead the first sound of an utterance.
    "speech_guard_strength": 0.0,
}

# Whether deployment chooses the entries of CONFIG that a configuration does not set: the strengths, offsets
# and smoothing that bring the animation nearest to the recorded one on validation shots, and neutral ones
# (strengths 1, offsets and smoothing 0) where those shots give no information. False takes the defaults of
# CONFIG, which suit the reference's actor.
# Change it when the defaults of CONFIG are wanted.
# Read by: deployment.
CALIBRATE_POST_PROCESSING: bool = True

# --- What to animate --------------------------------------------------------------------------------------

# The recording to animate, or a film whose audio track is used.
# Change it when you want to animate another recording.
# Read by: inference.
AUDIO_PATH: Annotated[str, dataset_file("", "inference")] | None = None

# The actor whose face is animated.
# Change it when a training run was deployed for several actors.
# Read by: inference.
ACTOR_NAME: Actor | None = None

# The emotion of the animation, one of SHOT_EMOTION_NAMES.
# Change it when another emotion is wanted.
# Read by: inference.
EMOTION_LABEL: Emotion | None = None

# --- What is written --------------------------------------------------------------------------------------

# The output folder for animations.
# Change it when they should be written outside the workspace.
# Read by: inference.
INFERENCE_OUTPUT_ROOT: OutputFolder = "/workspace/output_inference"
