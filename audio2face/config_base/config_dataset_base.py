"""Parameters of `config_dataset.py`: the files of each actor and what they contain.

A dictionary "per actor" has one entry per actor name; data of an actor without an entry count as missing. Relative
paths start from the datasets folder; `/datasets/...` and `/workspace/...` work inside and outside the container. A
configuration overrides the defaults; this file stays as it is.
"""

from __future__ import annotations

from typing import Annotated

from audio2face.config_base.types import (
    Actor,
    EmotionNames,
    FrameRate,
    Identifier,
    Seed,
    ShotEmotion,
    TestFraction,
    TransformScale,
    dataset_file,
    dataset_folder,
)

# --- Audio ------------------------------------------------------------------------------------------------

# Per actor, required: the folder with the recordings, `<shot>.wav`. Other audio formats and films work as
# well: the audio track of a film is used. A subfolder `aug/<speaker>/` may hold the same sentences spoken
# by other voices with the same timing.
# Change it when you add an actor or move its recordings.
# Read by: dataset check, preprocessing (lists the voices in `aug`), training.
AUDIO_ROOT: dict[Actor, Annotated[str, dataset_folder("preproc", "train")]] = {}

# Per actor: a folder with one file of phoneme times per shot, named after the shot: a table (.txt), a Praat
# TextGrid or a NIST CTM (docs/preparing_data.md). Training then runs without a phoneme recogniser.
# Change it when phoneme times are known from a forced aligner or from a speech synthesiser.
# Read by: dataset check, regression training.
PHONEME_TIMES_ROOT: dict[Actor, Annotated[str, dataset_folder("train")]] = {}

# --- Skin -------------------------------------------------------------------------------------------------

# Per actor, required: the folder with the animation of the face, `<shot>/<shot>` ending in .npy, .xml (Maya
# cache), .pc2 or .mdd. All shots have the same vertices in the same order, and the head does not move.
# Change it when you add an actor or move its animation.
# Read by: dataset check, preprocessing.
SKIN_CACHE_ROOT: dict[Actor, Annotated[str, dataset_folder("preproc")]] = {}

# Per actor: the name of the skin's channel in Maya caches that hold several meshes, such as "headShape",
# with or without its namespace. By default the channel with the number of vertices of SKIN_NEUTRAL_FPATH is
# used.
# Change it when several meshes were exported together and their numbers of vertices do not identify the
# skin.
# Read by: dataset check, preprocessing.
SKIN_CACHE_CHANNEL: dict[Actor, str] = {}

# Per actor: the neutral pose, float32 [verts, 3], which becomes the centre of the PCA. By default the mean
# of the selected poses is used.
# Change it when the face has a sculpted or scanned neutral pose, which nearly always animates better than a
# mean.
# Read by: dataset check, preprocessing.
SKIN_NEUTRAL_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: another neutral pose for the deployed model only, float32 [verts, 3]. Training keeps
# SKIN_NEUTRAL_FPATH.
# Change it when the deployed face should have another neutral pose, for instance with lips slightly apart.
# Read by: dataset check, preprocessing.
SKIN_NEUTRAL_INFERENCE_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: the pose with parted lips minus the neutral pose, [verts, 3]. The animation parameter
# lip_open_offset uses it and has no effect without it.
# Change it when the deployed model is to open or close the lips by a constant amount.
# Read by: dataset check, preprocessing.
SKIN_LIP_OPEN_POSE_DELTA_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: the pose with both eyes shut minus the neutral pose, [verts, 3]. Blinks and the animation
# parameter eyelid_open_offset use it; without it the deployed face does not blink.
# Change it when the deployed model is to blink.
# Read by: dataset check, preprocessing.
SKIN_EYE_CLOSE_POSE_DELTA_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: JSON `{"upper": [...], "lower": [...]}`, vertices of the inner lips that face each other,
# paired by position. Without it the lip distance loss is off.
# Change it when lips should close where they closed in the recording. Errors here are visible in every
# face.
# Read by: dataset check, training.
SKIN_LIP_DIST_VERTEX_LIST_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "train")]] = {}

# Per actor: JSON `{"upper_lip": {"top": [...], "bottom": [...]}, "lower_lip": {...}}`, vertices across the
# thickness of each lip, paired by position. Only needed when LOSS_LIP_SIZE_ALPHA is set.
# Change it when lips look too thin or too thick on sounds such as p, b, m or f.
# Read by: dataset check, regression training.
SKIN_LIP_SIZE_VERTEX_LIST_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "train")]] = {}

# Per actor: JSON `{"upper": [2 vertices], "lower": [2 vertices]}`, the middle of each eyelid, one per eye.
# Regression uses them to skip samples with shut eyes, diffusion to find the upper face that
# LOSS_EXP_SMOOTH_ALPHA smooths. Without it both are off.
# Change it when blinks are part of the recorded animation.
# Read by: dataset check, training.
SKIN_EYE_DIST_VERTEX_LIST_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "train")]] = {}

# Per actor: the polygons of the skin, integer [faces, 3 or 4] of vertex indices counted from 0; the fourth
# corner of a triangle among quadrilaterals is -1, or repeats the third. Caches hold no topology: drawing
# the face and exporting it as a mesh need this file.
# Change it when previews, the player page or mesh exports are wanted.
# Read by: dataset check, preprocessing, training (preview), inference.
SKIN_FACES_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc", "train", "inference")]] = {}

# Per actor: rigid parts to draw together with skin and tongue (teeth, eyes): an archive with vertices `[n,
# 3]` and faces of each part. Lower teeth follow the jaw, eyes their rotations; the names of the parts decide
# (docs/preparing_data.md).
# Change it when previews and the player should show teeth and eyes.
# Read by: dataset check, preprocessing, training (preview), inference.
EXTRA_PARTS_FPATH: dict[Actor, Annotated[str, dataset_file(".npz", "preproc", "train", "inference")]] = {}

# --- Tongue -----------------------------------------------------------------------------------------------

# Per actor: the folder with the animation of the tongue, with the layout of SKIN_CACHE_ROOT. The tongue is
# used when this, TONGUE_NEUTRAL_FPATH and TONGUE_RIGID_VERTEX_LIST_FPATH are all given; otherwise the actor
# gets a tongue without motion.
# Change it when the tongue was animated.
# Read by: dataset check, preprocessing.
TONGUE_CACHE_ROOT: dict[Actor, Annotated[str, dataset_folder("preproc")]] = {}

# Per actor: the name of the tongue's channel in Maya caches that hold several meshes, with or without its
# namespace. TONGUE_CACHE_ROOT may then be the folder of SKIN_CACHE_ROOT.
# Change it when several meshes were exported together and their numbers of vertices do not identify the
# tongue.
# Read by: dataset check, preprocessing.
TONGUE_CACHE_CHANNEL: dict[Actor, str] = {}

# Per actor: the neutral pose of the tongue, float32 [tongue verts, 3]: the centre of its PCA and the pose
# to which it is stabilised.
# Change it when the tongue was animated.
# Read by: dataset check, preprocessing.
TONGUE_NEUTRAL_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: another neutral pose of the tongue for the deployed model only, float32 [tongue verts, 3].
# Change it when the deployed tongue should have another neutral pose.
# Read by: dataset check, preprocessing.
TONGUE_NEUTRAL_INFERENCE_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: JSON list of at least 4 vertices at the root of the tongue that move rigidly with the jaw. They
# serve to subtract the jaw's motion from the tongue's.
# Change it when the tongue was animated.
# Read by: dataset check, preprocessing.
TONGUE_RIGID_VERTEX_LIST_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "preproc")]] = {}

# Per actor: the polygons of the tongue, integer [faces, 3 or 4] of vertex indices, in the format of
# SKIN_FACES_FPATH.
# Change it when previews, the player page or mesh exports should show the tongue.
# Read by: dataset check, preprocessing, training (preview), inference.
TONGUE_FACES_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc", "train", "inference")]] = {}

# --- Jaw and eyes -----------------------------------------------------------------------------------------

# Per actor: key points on the lower teeth in the neutral pose, float32 [points, 3]. They must not lie on
# one line or in one plane through the origin, so that their motion determines a rotation. By default zeros
# of DEFAULT_JAW_KEYPOINTS_SHAPE.
# Change it when the lower teeth are to be animated.
# Read by: dataset check, preprocessing.
JAW_KEYPOINTS_NEUTRAL_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: an archive with one array per shot, float32 [frames, points, 3], the key points minus their
# neutral positions, with the head fixed. Without it the network is trained on a motionless jaw.
# Change it when the lower teeth are to be animated.
# Read by: dataset check, training.
JAW_ANIM_DATA_FPATH: dict[Actor, Annotated[str, dataset_file(".npz", "train")]] = {}

# Per actor: an archive with one array per shot, float32 [frames, 2 eyes, 2 angles], pitch and yaw in
# degrees. Without it the network is trained on motionless eyes.
# Change it when gaze was recorded or animated.
# Read by: dataset check, training.
EYE_ANIM_DATA_FPATH: dict[Actor, Annotated[str, dataset_file(".npz", "train")]] = {}

# Per actor: the closing of the eyes over one blink at 30 frames per second, float32 [frames], from 0 (open)
# to 1 (shut). The consumer of the deployed model plays it. By default zeros of
# DEFAULT_EYE_BLINK_KEYS_SHAPE.
# Change it when the deployed model is to blink like the actor.
# Read by: dataset check, preprocessing.
EYE_BLINK_KEYS_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: small eye movements to play in a loop at 30 frames per second, float32 [frames, 2 angles] in
# degrees. By default zeros of DEFAULT_EYE_SACCADE_ROT_SHAPE.
# Change it when the deployed model's eyes should not stare.
# Read by: dataset check, preprocessing.
EYE_SACCADE_ROTATIONS_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# --- Blend shapes -----------------------------------------------------------------------------------------

# Per actor: blend shapes of the skin (for instance the 52 of ARKit), copied to the deployed model, where a
# solver turns poses into weights. Needs BLENDSHAPE_SKIN_CONFIG_FPATH as well.
# Change it when the consumer drives a rig by weights. Consumers expect skin and tongue together.
# Read by: dataset check, preprocessing.
BLENDSHAPE_SKIN_FPATH: dict[Actor, Annotated[str, dataset_file(".npz", "preproc")]] = {}

# Per actor: JSON with the solver's settings for the skin's blend shapes.
# Change it when BLENDSHAPE_SKIN_FPATH is given.
# Read by: dataset check, preprocessing.
BLENDSHAPE_SKIN_CONFIG_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "preproc")]] = {}

# Per actor: blend shapes of the tongue, copied to the deployed model. Needs BLENDSHAPE_TONGUE_CONFIG_FPATH
# as well.
# Change it when the consumer drives a rig by weights. Consumers expect skin and tongue together.
# Read by: dataset check, preprocessing.
BLENDSHAPE_TONGUE_FPATH: dict[Actor, Annotated[str, dataset_file(".npz", "preproc")]] = {}

# Per actor: JSON with the solver's settings for the tongue's blend shapes.
# Change it when BLENDSHAPE_TONGUE_FPATH is given.
# Read by: dataset check, preprocessing.
BLENDSHAPE_TONGUE_CONFIG_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "preproc")]] = {}

# --- Shots, emotions, actors ------------------------------------------------------------------------------

# The emotions of the dataset, in the order of the network's emotion vector. A shot belongs to the emotion
# in its name (`eg3_joy`). The names are used in file names.
# Change it when shots were recorded in several emotions.
# Read by: dataset check, preprocessing, training, inference.
SHOT_EMOTION_NAMES: EmotionNames = ["neutral"]

# Rows (actor, shot, emotion) for shots whose name holds no emotion, or the wrong one.
# Change it when the dataset check lists a shot under the wrong emotion.
# Read by: dataset check, preprocessing.
SHOT_EMOTION_MAP: list[ShotEmotion] = []

# Per actor, required: frames per second of all of the actor's caches. It overrides the rate stored in a
# cache.
# Change it when the animation was recorded at another rate; the dataset check compares it with the audio's
# length.
# Read by: dataset check, preprocessing, training (muted shots; other shots carry their rate).
CACHE_FPS: dict[Actor, FrameRate] = {}

# The actors that training uses, in the order of the network's actor vector. Regression takes exactly one.
# Change it when you train on other or more actors.
# Read by: dataset check, training, inference.
ACTOR_NAMES: list[Identifier] = []

# Per actor: the largest absolute value of skin, tongue, jaw and eye after normalisation. The default for
# every actor and part is 1.0.
# Change it when a part should take more or less of the normalised range in diffusion training.
# Read by: preprocessing.
TRANSFORM_SCALE: dict[Actor, TransformScale] = {}

# --- Test set ---------------------------------------------------------------------------------------------

# Per actor: the shots of the test set. Preprocessing and training leave them out, in every voice; only the
# evaluation reads them. An actor with an entry here, even an empty list, takes no part in TEST_FRACTION.
# Change it when the figures of an evaluation should come from certain sentences.
# Read by: dataset check, preprocessing, training, evaluation.
TEST_SHOTS: dict[Actor, list[Identifier]] = {}

# The fraction of each actor's shots in the test set, in equal proportion of every emotion, for actors
# without TEST_SHOTS; of ten shots or more at least one. One shot of each emotion always stays outside. The
# choice depends on the names and emotions of the actor's own shots and on SPLIT_SEED only. 0 makes no test
# set.
# Change it when you want figures that no choice of settings or weights has seen; from 20 shots on 0.1 is
# usual. Preprocess and train again after a change.
# Read by: dataset check, preprocessing, training, evaluation.
TEST_FRACTION: TestFraction = 0.0

# The seed of the choice of TEST_FRACTION.
# Change it when another test set should be drawn. To draw until the figures please makes them worthless.
# Read by: dataset check, preprocessing, training, evaluation.
SPLIT_SEED: Seed = 0
