"""Dataset of quickstart-regression: the example actor, who comes with the framework."""

ACTOR_NAMES = ["ada"]


def _per_actor(path: str) -> dict[str, str]:
    return {actor: f"/datasets/example/{actor}/{path}" for actor in ACTOR_NAMES}


AUDIO_ROOT = _per_actor("audio")
PHONEME_TIMES_ROOT = _per_actor("phonemes")
SKIN_CACHE_ROOT = _per_actor("cache/skin")
SKIN_NEUTRAL_FPATH = _per_actor("geom/skin/neutral_pose.npy")
SKIN_LIP_OPEN_POSE_DELTA_FPATH = _per_actor("geom/skin/lip_open_pose_delta.npy")
SKIN_EYE_CLOSE_POSE_DELTA_FPATH = _per_actor("geom/skin/eye_close_pose_delta.npy")
SKIN_LIP_DIST_VERTEX_LIST_FPATH = _per_actor("geom/skin/lip_dist_vertex_list.json")
SKIN_LIP_SIZE_VERTEX_LIST_FPATH = _per_actor("geom/skin/lip_size_vertex_list.json")
SKIN_EYE_DIST_VERTEX_LIST_FPATH = _per_actor("geom/skin/eye_dist_vertex_list.json")
SKIN_FACES_FPATH = _per_actor("geom/skin/faces.npy")
EXTRA_PARTS_FPATH = _per_actor("geom/extra_parts.npz")
TONGUE_CACHE_ROOT = _per_actor("cache/tongue")
TONGUE_NEUTRAL_FPATH = _per_actor("geom/tongue/neutral_pose.npy")
TONGUE_RIGID_VERTEX_LIST_FPATH = _per_actor("geom/tongue/rigid_vertex_list.json")
TONGUE_FACES_FPATH = _per_actor("geom/tongue/faces.npy")
JAW_KEYPOINTS_NEUTRAL_FPATH = _per_actor("xform/jaw_keypoints_neutral.npy")
JAW_ANIM_DATA_FPATH = _per_actor("xform/jaw_keypoints_cache_all.npz")
EYE_ANIM_DATA_FPATH = _per_actor("xform/eye_rotations_all.npz")
EYE_BLINK_KEYS_FPATH = _per_actor("xform/eye_blink_keys.npy")
EYE_SACCADE_ROTATIONS_FPATH = _per_actor("xform/eye_saccade_rotations.npy")
BLENDSHAPE_SKIN_FPATH = _per_actor("bs_data/bs_skin.npz")
BLENDSHAPE_SKIN_CONFIG_FPATH = _per_actor("bs_data/bs_skin_config.json")
BLENDSHAPE_TONGUE_FPATH = _per_actor("bs_data/bs_tongue.npz")
BLENDSHAPE_TONGUE_CONFIG_FPATH = _per_actor("bs_data/bs_tongue_config.json")

SHOT_EMOTION_NAMES = [
    "neutral",
    "joy",
    "anger",
    "sadness",
    "amazement",
]
CACHE_FPS = dict.fromkeys(ACTOR_NAMES, 30.0)
