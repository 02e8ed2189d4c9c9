"""Parameters of `config_dataset.py`: where an actor's recordings are, and what they are.

A dictionary "per actor" has one entry per actor name; an actor without an entry has no such data. Relative paths
start from the datasets folder; `/datasets/...` and `/workspace/...` work inside and outside the container. This
file is not edited: a configuration overrides what differs.
"""

from __future__ import annotations

from typing import Annotated

from audio2face.config_base.types import (
    Actor,
    EmotionNames,
    FrameRate,
    Identifier,
    ShotEmotion,
    TransformScale,
    dataset_file,
    dataset_folder,
)

# --- Audio ------------------------------------------------------------------------------------------------

# Per actor, required: the folder with the recordings, `<shot>.wav`, or a name with the suffix of another
# recording or film, of which the sound is taken. A subfolder `aug/<speaker>/` may hold other voices saying
# the same sentences in the same time.
# Change it when you add an actor or move its recordings.
# Read by: dataset check, preprocessing (lists the voices in `aug`), training.
AUDIO_ROOT: dict[Actor, Annotated[str, dataset_folder("preproc", "train")]] = {}

# Per actor: a folder with one file of phoneme times per shot, named after the shot. With it, training needs
# no phoneme recogniser.
# Change it when exact phoneme times are known, from a forced aligner or from a speech synthesiser.
# Read by: dataset check, regression training.
PHONEME_TIMES_ROOT: dict[Actor, Annotated[str, dataset_folder("train")]] = {}

# --- Skin -------------------------------------------------------------------------------------------------

# Per actor, required: the folder with the animation of the face, `<shot>/<shot>` ending in .npy, .xml (Maya
# cache), .pc2 or .mdd. All shots have the same vertices in the same order, without motion of the head.
# Change it when you add an actor or move its animation.
# Read by: dataset check, preprocessing.
SKIN_CACHE_ROOT: dict[Actor, Annotated[str, dataset_folder("preproc")]] = {}

# Per actor: the name of the skin's channel in Maya caches that hold several meshes, such as "headShape",
# with or without its namespace. Without it the channel with as many vertices as SKIN_NEUTRAL_FPATH is taken.
# Change it when several meshes were exported together and their vertices do not tell which is the skin.
# Read by: dataset check, preprocessing.
SKIN_CACHE_CHANNEL: dict[Actor, str] = {}

# Per actor: the neutral pose, float32 [verts, 3]. It becomes the centre of the PCA; without it the mean of
# the selected poses takes its place.
# Change it when the face has a sculpted or scanned rest pose, which nearly always animates better than a
# mean.
# Read by: dataset check, preprocessing.
SKIN_NEUTRAL_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: another neutral pose for the deployed model only, float32 [verts, 3]. Training keeps the pose
# above.
# Change it when the deployed face should rest differently, say with lips slightly apart.
# Read by: dataset check, preprocessing.
SKIN_NEUTRAL_INFERENCE_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: how the skin moves when the lips part, as a difference from neutral, [verts, 3]. It serves the
# animation parameter lip_open_offset; without it that parameter has no effect.
# Change it when the deployed model is to open or close the lips by a constant amount.
# Read by: dataset check, preprocessing.
SKIN_LIP_OPEN_POSE_DELTA_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: how the skin moves when both eyes shut, as a difference from neutral, [verts, 3]. It serves
# blinks and the animation parameter eyelid_open_offset; without it the deployed face does not blink.
# Change it when the deployed model is to blink.
# Read by: dataset check, preprocessing.
SKIN_EYE_CLOSE_POSE_DELTA_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: JSON `{"upper": [...], "lower": [...]}`, vertices of the inner lips that face each other,
# paired by position. Without it the lip distance loss is off.
# Change it when lips should close where they closed in the recording, which is visible in every face.
# Read by: dataset check, training.
SKIN_LIP_DIST_VERTEX_LIST_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "train")]] = {}

# Per actor: JSON `{"upper_lip": {"top": [...], "bottom": [...]}, "lower_lip": {...}}`, vertices across the
# thickness of each lip, paired by position. Only needed when LOSS_LIP_SIZE_ALPHA is set.
# Change it when lips look too thin or too thick in shapes such as p, b, m or f.
# Read by: dataset check, regression training.
SKIN_LIP_SIZE_VERTEX_LIST_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "train")]] = {}

# Per actor: JSON `{"upper": [2 vertices], "lower": [2 vertices]}`, the middle of each eyelid, one per eye.
# Regression leaves out samples with shut eyes by it, diffusion finds the upper face by it and smooths
# there; without it both are off.
# Change it when blinks are part of the recorded animation.
# Read by: dataset check, training.
SKIN_EYE_DIST_VERTEX_LIST_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "train")]] = {}

# Per actor: the polygons of the skin, integer [faces, 3 or 4] of vertex indices counted from 0; the fourth
# corner of a triangle among quadrilaterals is -1, or repeats the third. Caches hold no topology, so a face
# can only be drawn or exported as a mesh with this file.
# Change it when previews, the player page or mesh exports are wanted.
# Read by: dataset check, preprocessing, training (preview), inference.
SKIN_FACES_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc", "train", "inference")]] = {}

# Per actor: rigid parts to draw beside skin and tongue (teeth, eyes): an archive with vertices `[n, 3]` and
# faces of each part. Lower teeth follow the jaw, eyes their rotations.
# Change it when previews and the player should show teeth and eyes.
# Read by: dataset check, preprocessing, training (preview), inference.
EXTRA_PARTS_FPATH: dict[Actor, Annotated[str, dataset_file(".npz", "preproc", "train", "inference")]] = {}

# --- Tongue -----------------------------------------------------------------------------------------------

# Per actor: the folder with the animation of the tongue, laid out like SKIN_CACHE_ROOT. The tongue is used
# when this, TONGUE_NEUTRAL_FPATH and TONGUE_RIGID_VERTEX_LIST_FPATH are all given; otherwise a tongue
# without motion takes its place.
# Change it when the tongue was animated.
# Read by: dataset check, preprocessing.
TONGUE_CACHE_ROOT: dict[Actor, Annotated[str, dataset_folder("preproc")]] = {}

# Per actor: the name of the tongue's channel in Maya caches that hold several meshes, as
# SKIN_CACHE_CHANNEL. TONGUE_CACHE_ROOT may then be the folder of SKIN_CACHE_ROOT.
# Change it when several meshes were exported together and their vertices do not tell which is the tongue.
# Read by: dataset check, preprocessing.
TONGUE_CACHE_CHANNEL: dict[Actor, str] = {}

# Per actor: the tongue at rest, float32 [tongue verts, 3]: centre of its PCA and the pose to which it is
# stabilised.
# Change it when the tongue was animated.
# Read by: dataset check, preprocessing.
TONGUE_NEUTRAL_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: another tongue at rest for the deployed model only, float32 [tongue verts, 3].
# Change it when the deployed tongue should rest elsewhere.
# Read by: dataset check, preprocessing.
TONGUE_NEUTRAL_INFERENCE_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: JSON list of at least 4 vertices at the root of the tongue that move as a rigid body with the
# jaw. By them the jaw's motion is taken out of the tongue's.
# Change it when the tongue was animated.
# Read by: dataset check, preprocessing.
TONGUE_RIGID_VERTEX_LIST_FPATH: dict[Actor, Annotated[str, dataset_file(".json", "preproc")]] = {}

# Per actor: the polygons of the tongue, integer [faces, 3 or 4] of vertex indices, as SKIN_FACES_FPATH.
# Change it when previews, the player page or mesh exports should show the tongue.
# Read by: dataset check, preprocessing, training (preview), inference.
TONGUE_FACES_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc", "train", "inference")]] = {}

# --- Jaw and eyes -----------------------------------------------------------------------------------------

# Per actor: key points on the lower teeth at rest, float32 [points, 3], not all in one line or plane
# through zero, so that their motion determines a rotation. Without it, zeros of
# DEFAULT_JAW_KEYPOINTS_SHAPE.
# Change it when the lower teeth are to be animated.
# Read by: dataset check, preprocessing.
JAW_KEYPOINTS_NEUTRAL_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: an archive with one array per shot, float32 [frames, points, 3], the key points' difference
# from rest, with the head held still. Without it the jaw is learnt as motionless.
# Change it when the lower teeth are to be animated.
# Read by: dataset check, training.
JAW_ANIM_DATA_FPATH: dict[Actor, Annotated[str, dataset_file(".npz", "train")]] = {}

# Per actor: an archive with one array per shot, float32 [frames, 2 eyes, 2 angles], pitch and yaw in
# degrees. Without it the eyes are learnt as motionless.
# Change it when gaze was recorded or animated.
# Read by: dataset check, training.
EYE_ANIM_DATA_FPATH: dict[Actor, Annotated[str, dataset_file(".npz", "train")]] = {}

# Per actor: how far the eyes are shut over one blink at 30 frames per second, float32 [frames], 0 open to 1
# shut. It is played by the consumer of the deployed model; without it, zeros of
# DEFAULT_EYE_BLINK_KEYS_SHAPE.
# Change it when the deployed model is to blink like the actor.
# Read by: dataset check, preprocessing.
EYE_BLINK_KEYS_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: small eye movements to play in a loop at 30 frames per second, float32 [frames, 2 angles] in
# degrees. Without it, zeros of DEFAULT_EYE_SACCADE_ROT_SHAPE.
# Change it when the deployed model's eyes should not stare.
# Read by: dataset check, preprocessing.
EYE_SACCADE_ROTATIONS_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# --- Blend shapes -----------------------------------------------------------------------------------------

# Per actor: blend shapes of the skin (52 ARKit shapes, say), copied to the deployed model, where a solver
# turns poses into weights. Needs BLENDSHAPE_SKIN_CONFIG_FPATH as well.
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

# The emotions that occur, in the order of the network's emotion vector. A shot's emotion is the one named
# in the shot's name (`eg3_joy`). Each becomes a part of names of files.
# Change it when shots were recorded in several emotions.
# Read by: dataset check, preprocessing, training, inference.
SHOT_EMOTION_NAMES: EmotionNames = ["neutral"]

# Rows (actor, shot, emotion) for shots whose name does not tell their emotion, or tells a wrong one.
# Change it when the dataset check lists a shot under the wrong emotion.
# Read by: dataset check, preprocessing.
SHOT_EMOTION_MAP: list[ShotEmotion] = []

# Per actor, required: frames per second of all of the actor's caches. Caches do not decide it.
# Change it when the animation was recorded at another rate; the dataset check compares it with the audio's
# length.
# Read by: dataset check, preprocessing, training (muted shots; other shots carry their rate).
CACHE_FPS: dict[Actor, FrameRate] = {}

# The actors that training uses, in the order of the network's actor vector. Regression takes exactly one.
# Change it when you train on other or more actors.
# Read by: dataset check, training, inference.
ACTOR_NAMES: list[Identifier] = []

# Per actor: the largest absolute value that skin, tongue, jaw and eye have after normalisation. An actor or
# a part that is left out has 1.0.
# Change it when diffusion training should give one part more or less room in the normalised range.
# Read by: preprocessing.
TRANSFORM_SCALE: dict[Actor, TransformScale] = {}
