"""Inference of quickstart-diffusion."""

CONDITION = "ada"
ACTOR_NAME = "ada"
EMOTION_LABEL = "neutral"
TIMESTEP_RESPACING = "2"

# The example's motion is exact: the animation keeps what the network was trained on, without exaggeration.
CONFIG = {
    "input_strength": 1.0,
    "lower_face_strength": 1.0,
    "skin_strength": 1.0,
    "lower_teeth_strength": 1.0,
    "lower_teeth_height_offset": 0.0,
    "lower_teeth_depth_offset": 0.0,
    "lip_open_offset": 0.0,
    "tongue_strength": 1.0,
    "tongue_height_offset": 0.0,
    "tongue_depth_offset": 0.0,
    "right_eye_rot_y_offset": 0.0,
    "left_eye_rot_y_offset": 0.0,
    "eyelid_open_offset": 0.0,
}
