"""Dataset of quickstart-diffusion: the example actor, who comes with the framework."""

ACTOR_NAMES = ["ada"]

AUDIO_ROOT = {actor: f"/datasets/example/{actor}/audio" for actor in ACTOR_NAMES}
PHONEME_TIMES_ROOT = {actor: f"/datasets/example/{actor}/phonemes" for actor in ACTOR_NAMES}
SKIN_CACHE_ROOT = {actor: f"/datasets/example/{actor}/cache/skin" for actor in ACTOR_NAMES}
SKIN_NEUTRAL_FPATH = {actor: f"/datasets/example/{actor}/geom/skin/neutral_pose.npy" for actor in ACTOR_NAMES}
SKIN_LIP_OPEN_POSE_DELTA_FPATH = {
    actor: f"/datasets/example/{actor}/geom/skin/lip_open_pose_delta.npy" for actor in ACTOR_NAMES
}
SKIN_EYE_CLOSE_POSE_DELTA_FPATH = {
    actor: f"/datasets/example/{actor}/geom/skin/eye_close_pose_delta.npy" for actor in ACTOR_NAMES
}
SKIN_LIP_DIST_VERTEX_LIST_FPATH = {
    actor: f"/datasets/example/{actor}/geom/skin/lip_dist_vertex_list.json" for actor in ACTOR_NAMES
}
SKIN_LIP_SIZE_VERTEX_LIST_FPATH = {
    actor: f"/datasets/example/{actor}/geom/skin/lip_size_vertex_list.json" for actor in ACTOR_NAMES
}
SKIN_EYE_DIST_VERTEX_LIST_FPATH = {
    actor: f"/datasets/example/{actor}/geom/skin/eye_dist_vertex_list.json" for actor in ACTOR_NAMES
}
SKIN_FACES_FPATH = {actor: f"/datasets/example/{actor}/geom/skin/faces.npy" for actor in ACTOR_NAMES}
EXTRA_PARTS_FPATH = {actor: f"/datasets/example/{actor}/geom/extra_parts.npz" for actor in ACTOR_NAMES}
TONGUE_CACHE_ROOT = {actor: f"/datasets/example/{actor}/cache/tongue" for actor in ACTOR_NAMES}
TONGUE_NEUTRAL_FPATH = {actor: f"/datasets/example/{actor}/geom/tongue/neutral_pose.npy" for actor in ACTOR_NAMES}
TONGUE_RIGID_VERTEX_LIST_FPATH = {
    actor: f"/datasets/example/{actor}/geom/tongue/rigid_vertex_list.json" for actor in ACTOR_NAMES
}
TONGUE_FACES_FPATH = {actor: f"/datasets/example/{actor}/geom/tongue/faces.npy" for actor in ACTOR_NAMES}
JAW_KEYPOINTS_NEUTRAL_FPATH = {
    actor: f"/datasets/example/{actor}/xform/jaw_keypoints_neutral.npy" for actor in ACTOR_NAMES
}
JAW_ANIM_DATA_FPATH = {actor: f"/datasets/example/{actor}/xform/jaw_keypoints_cache_all.npz" for actor in ACTOR_NAMES}
EYE_ANIM_DATA_FPATH = {actor: f"/datasets/example/{actor}/xform/eye_rotations_all.npz" for actor in ACTOR_NAMES}
EYE_BLINK_KEYS_FPATH = {actor: f"/datasets/example/{actor}/xform/eye_blink_keys.npy" for actor in ACTOR_NAMES}
EYE_SACCADE_ROTATIONS_FPATH = {
    actor: f"/datasets/example/{actor}/xform/eye_saccade_rotations.npy" for actor in ACTOR_NAMES
}
BLENDSHAPE_SKIN_FPATH = {actor: f"/datasets/example/{actor}/bs_data/bs_skin.npz" for actor in ACTOR_NAMES}
BLENDSHAPE_SKIN_CONFIG_FPATH = {
    actor: f"/datasets/example/{actor}/bs_data/bs_skin_config.json" for actor in ACTOR_NAMES
}
BLENDSHAPE_TONGUE_FPATH = {actor: f"/datasets/example/{actor}/bs_data/bs_tongue.npz" for actor in ACTOR_NAMES}
BLENDSHAPE_TONGUE_CONFIG_FPATH = {
    actor: f"/datasets/example/{actor}/bs_data/bs_tongue_config.json" for actor in ACTOR_NAMES
}

SHOT_EMOTION_NAMES = [
    "neutral",
    "joy",
    "anger",
    "sadness",
    "amazement",
]
CACHE_FPS = dict.fromkeys(ACTOR_NAMES, 30.0)
TRANSFORM_SCALE = {actor: {"skin": 1.0, "tongue": 1.0, "jaw": 1.0, "eye": 1.0} for actor in ACTOR_NAMES}
