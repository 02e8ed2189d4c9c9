"""Animation parameters of quickstart-regression: the output of the network, without exaggeration or offsets."""

CONFIG = {
    "lower_face_smoothing": 0.0,
    "upper_face_smoothing": 0.0,
    "input_strength": 1.0,
    "lower_face_strength": 1.0,
    "skin_strength": 1.0,
    "eyelid_open_offset": 0.0,
    "lip_open_offset": 0.0,
    "tongue_strength": 1.0,
    "tongue_height_offset": 0.0,
    "tongue_depth_offset": 0.0,
    "lower_teeth_strength": 1.0,
    "lower_teeth_height_offset": 0.0,
    "lower_teeth_depth_offset": 0.0,
    "right_eye_rot_y_offset": 0.0,
    "left_eye_rot_y_offset": 0.0,
}
