"""Parameters of `config_train.py` that mean the same, with the same default, for every type of network.

The base module of each network type lists them in its own order, beside those of its own. This file is not edited: a
configuration overrides what differs. `FREE_PARAMETERS` names those that may change when a run is resumed.
"""

from __future__ import annotations

from typing import Annotated

from audio2face.config_base.types import (
    Actor,
    AudioMethod,
    AudioResampler,
    Clip,
    Decay,
    Device,
    DistillationShare,
    Emotion,
    ExportedWeights,
    Fraction,
    Identifier,
    Index,
    Licence,
    MutedShot,
    NoiseType,
    NonNegative,
    OutputFolder,
    Positive,
    Precision,
    Seed,
    SyntheticShare,
    TrackerName,
    dataset_folder,
    workspace_file,
)

# --- The run ----------------------------------------------------------------------------------------------

# The name of the run: the last part of the run folder's name, after date and time.
# Change it when you want to tell runs apart, by actor or by purpose.
# Read by: training.
RUN_NAME: Identifier = "default"

# A note for yourself, kept in the run folder as `configs/info.txt`.
# Change it when a run has a purpose worth remembering.
# Read by: training.
RUN_INFO: str = ""

# The version that the deployed model reports.
# Change it when you release a new model.
# Read by: training (writes it to network_info.json).
NETWORK_VERSION: str = "0.1"

# The licence under which the deployed model may be passed on, as the data it was trained on allow: an
# identifier of the hub, such as "cc-by-4.0", or a name of your own. It is written to the deployed README. None
# leaves it unstated, and `audio2face push` refuses the model.
# Change it when you know the terms of your data and want to publish a model.
# Read by: deployment.
MODEL_LICENSE: Licence | None = None

# Pretrained weights that training starts from: `weights.safetensors` of an earlier run, or `weights.pth` of
# the reference. Sizes and speech encoder must match. The actors of a diffusion network may differ: a new
# actor starts as the average of the others (weights of the reference do not name their actors; they count
# as the first of ACTOR_NAMES).
# Change it when you fine-tune an earlier run, or add an actor to it.
# Read by: training.
PRETRAINED_NET_FPATH: Annotated[str, workspace_file("", "train")] | None = None

# The folder in which run folders are created.
# Change it when runs should be written outside the workspace.
# Read by: training (writes), deployment and inference (read).
TRAIN_OUTPUT_ROOT: OutputFolder = "/workspace/output_train"

# The folder in which deployed models are created.
# Change it when models should be written outside the workspace.
# Read by: deployment.
FINAL_DEPLOY_ROOT: OutputFolder = "/workspace/output_deploy"

# The cache folder for downloaded weights of speech encoders and phoneme recognisers.
# Change it when several workspaces share one cache.
# Read by: training.
TORCH_CACHE_ROOT: OutputFolder = "/workspace/torch_cache"

# --- Artifacts of preprocessing ---------------------------------------------------------------------------

# The folder with preprocessing runs.
# Change it when PREPROC_OUTPUT_ROOT was changed.
# Read by: training, deployment, inference.
PREPROC_ROOT: OutputFolder = "/workspace/output_preproc"

# Per actor: the preprocessing run, such as "250909_135508_example"; the end or any part of its name is enough where
# no other run of the actor has it. By default, and with "latest", the actor's newest run that was made from the data
# of this configuration is used. A run that is named is used in any case, with a warning where its data differ.
# Change it when a certain run is wanted rather than the newest.
# Read by: training, deployment.
PREPROC_RUN_NAME_FULL: dict[Actor, Identifier] = {}

# Per actor: skin coefficients of all shots, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training.
SKIN_PCA_COEFFS_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train")]] = {}

# Per actor: skin PCA components, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training, inference.
SKIN_PCA_SHAPES_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train", "inference")]] = {}

# Per actor: tongue coefficients of all shots, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training.
TONGUE_PCA_COEFFS_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train")]] = {}

# Per actor: tongue PCA components, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training, inference.
TONGUE_PCA_SHAPES_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train", "inference")]] = {}

# Per actor: sizes and scales of the data, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training, inference.
DATA_INFO_FPATH: dict[Actor, Annotated[str, workspace_file(".json", "train", "inference")]] = {}

# Per actor: the list of shots, instead of that of the preprocessing run.
# Change it when you made it by other means.
# Read by: training.
SHOT_LIST_FPATH: dict[Actor, Annotated[str, workspace_file(".json", "train")]] = {}

# --- Training data ----------------------------------------------------------------------------------------

# The clips to train on, rows (actor, shot, (first frame, last frame), speaker, language, audio file, audio
# offset). The last frame belongs to the clip; the audio file is relative to AUDIO_ROOT; the offset is in
# frames, including fractions such as 0.5, and positive where the audio comes later than the face. By
# default the template that preprocessing wrote is used: every shot whole.
# Change it when clips should be excluded or cut, or languages named ("en", "zh"). Preprocessing prints a
# list to start from.
# Read by: training, inference.
CLIPS: list[Clip] = []

# Per actor: the shots of the validation set. Training excludes their clips in every voice.
# Change it when certain sentences should be compared between runs.
# Read by: training.
VALIDATION_SHOTS: dict[Actor, list[Identifier]] = {}

# The fraction of each actor's shots in the validation set, sampled with RNG_SEED_DATASET, for actors
# without VALIDATION_SHOTS; of ten shots or more at least one. The only shot of an emotion, actor or
# language always stays in the training set; the log reports where this makes the validation set smaller. 0
# trains on all shots without validation.
# Change it when every sentence is needed for training (0), or the validation figures are too noisy
# (larger).
# Read by: training.
VALIDATION_FRACTION: Fraction = 0.05

# Rows (actor, (source shot, frame), length in frames, emotion): muted shots, in which the face keeps the
# pose of that frame in silence. They train the network to be still, in every emotion, in pauses.
# Change it when the face moves in silence. One row per emotion, with a frame of closed, relaxed lips, is a
# good start.
# Read by: training, inference.
AUG_MUTED_SHOTS: list[MutedShot] = []

# Whether the skin of muted shots of the emotion "neutral" is the neutral pose itself instead of the pose of
# the frame.
# Change it when the neutral pose differs from the actor's relaxed face.
# Read by: training.
AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO: bool = True

# Whether the tongue of muted shots is the neutral tongue instead of the tongue of the frame.
# Change it when the tongue twitches in silence.
# Read by: training.
AUG_MUTED_TONGUE_IS_NEUTRAL: bool = False

# The audio of muted shots: "mic" the hiss of a microphone, "gauss" white noise, None digital silence.
# Change it when silence in your recordings is different.
# Read by: training.
AUG_MUTED_AUDIO_NOISE_TYPE: NoiseType | None = "mic"

# Loudness of that noise.
# Change it when the recordings are noisier or cleaner.
# Read by: training.
AUG_MUTED_AUDIO_NOISE_SCALE: NonNegative = 0.1

# Limits of a random factor on the loudness, sampled for each muted item; None keeps the loudness.
# Change it when silence should always be equally loud.
# Read by: training.
AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE: tuple[NonNegative, NonNegative] | None = (0.0, 1.0)

# The share of synthetic talking in every batch: synthetic speech in many voices, whose motion follows viseme rules in
# the actor's own style, fitted to the training shots. It trains a network on voices that were never recorded; the
# figures are in docs/quality.md. An epoch still has every recorded item once, and 1 / (1 - share) times as many in
# all. Needs the extra "example", or SYNTHETIC_SPEECH_ROOT.
# Change it when the network is to serve other speakers or languages than the recorded ones (0.3 to 0.5).
# Read by: training.
SYNTHETIC_SHARE: SyntheticShare = 0.0

# The number of epochs at the start in which all items are synthetic talking: a pretraining, after which
# SYNTHETIC_SHARE applies. They count in NUM_EPOCHS.
# Change it when recordings are few (minutes).
# Read by: training.
SYNTHETIC_EPOCHS: Index = 0

# Minutes of synthetic speech, made once in about three seconds each and kept in SYNTHETIC_ROOT. It is divided among
# the actors.
# Change it when a training is long enough to draw all of it many times.
# Read by: training.
SYNTHETIC_MINUTES: Positive = 20.0

# Seed of the synthetic speech: voices, words, pauses, sounds; and of the emotions that it is given.
# Change it when you want to measure the spread between seeds.
# Read by: training.
SYNTHETIC_SEED: Seed = 0

# The folder in which synthetic speech is kept, by version and seed.
# Change it when several workspaces share one.
# Read by: training.
SYNTHETIC_ROOT: OutputFolder = "/workspace/synthetic_speech"

# A folder with labelled speech of your own, in place of the synthetic: recordings, and beside each the times of its
# phones in IPA under the same name, in one of the formats of PHONEME_TIMES_ROOT. All of it is used.
# Change it when you have speech with exact phone times, such as that of a better synthesiser or another language.
# Read by: training.
SYNTHETIC_SPEECH_ROOT: Annotated[str, dataset_folder("train")] | None = None

# The training run of a diffusion or regression network, the teacher, whose motion this network learns as well: on
# speech whose motion nobody recorded (distillation). It was trained on the same actors and preprocessing runs. A full
# name, an end or a part of one, or "latest" for the newest run that can teach; None disables distillation.
# Change it when an offline network of the same data is finished, and this one is live or is to serve other speakers.
# Read by: dataset check, training.
TEACHER_RUN: Identifier | None = None

# The share of the teacher's motion in every batch, where TEACHER_RUN is set. An epoch still has every recorded item
# once, and 1 / (1 - share) times as many in all, so that a training takes as many times as long.
# Change it when a training takes too long, or the data are hours (smaller).
# Read by: training.
DISTILLATION_SHARE: DistillationShare = 0.7

# A folder with recordings of speech, in subfolders too, which the teacher animates; they need neither motion nor
# labels. None: other voices made of the training recordings, and the synthetic speech of SYNTHETIC_MINUTES.
# Change it when you have speech of the voices, languages or microphones that the network is to serve.
# Read by: dataset check, training.
DISTILLATION_SPEECH_ROOT: Annotated[str, dataset_folder("train")] | None = None

# The folder in which the teacher's motion and the other voices are kept, each under a checksum of what it was made of.
# Change it when several workspaces share one.
# Read by: training.
DISTILLATION_ROOT: OutputFolder = "/workspace/distillation"

# --- Emotions ---------------------------------------------------------------------------------------------

# The emotion that is encoded as the zero vector; None gives every emotion an input.
# Change it when SHOT_EMOTION_NAMES has no "neutral".
# Read by: training, inference.
SHOT_EMOTION_NAME_FOR_ALL_ZEROS: Emotion | None = "neutral"

# The emotion that the deployed model starts with.
# Change it when another emotion is the usual one.
# Read by: training (writes it to network_info.json).
DEFAULT_SHOT_EMOTION_NAME: Emotion = "neutral"

# --- Audio ------------------------------------------------------------------------------------------------

# How recordings are resampled to the network's rate: "w2v" keeps their level, "nva2f" divides by their
# peak.
# Change it when recordings differ much in level ("nva2f").
# Read by: training.
AUDIO_PREPROC_METHOD: AudioMethod = "w2v"

# The filter that resamples recordings of other rates for the method "w2v": "soxr", whose aliases are below
# -120 dB, or "hann", that of the reference. The deployed model resamples with the same filter. Runs that
# recorded none were trained with "hann".
# Change it when you compare with the reference, or continue work that was trained with its filter ("hann").
# Read by: training (writes it to network_info.json).
AUDIO_RESAMPLER: AudioResampler = "soxr"

# --- Network ----------------------------------------------------------------------------------------------

# The hidden layers of the speech encoder that are used, counted from 0, for encoders with a choice ("hama"
# has 0 to 4, "whisper-tiny.en" 0 to 4, "whisper-base" 0 to 6). Empty: a weighted sum of all, with trainable
# weights. "a2f-phonetic" has 0 to 2, which are joined: hidden layer, bottleneck, probabilities; empty: the last two.
# Change it when data are few: one layer from the middle, such as [2] of "hama", reduces overfitting.
# Read by: training.
SPEECH_ENCODER_LAYERS: list[Index] = []

# Noise added to the features of the speech encoder in training, as a fraction of their own size. It reduces
# overfitting on few recordings.
# Change it when validation figures get worse while the training loss still falls (0.5 to 1).
# Read by: training.
SPEECH_FEATURE_NOISE: NonNegative = 0.0

# --- Optimisation -----------------------------------------------------------------------------------------

# Whether gradients are accumulated as in the reference: summed instead of averaged, with the first
# optimizer step of an epoch after one batch, and the remaining batches at its end dropped. Steps of the
# diffusion network are as long as in the reference in either case.
# Change it when you compare with the reference.
# Read by: training.
REFERENCE_ACCUMULATION: bool = False

# The largest norm of all gradients together; larger gradients are clipped to it. None disables clipping.
# Change it when the loss jumps now and then (1.0 is a good start).
# Read by: training.
GRADIENT_CLIP_NORM: Positive | None = None

# The decay of the exponential moving average (EMA) of the weights, which is validated and exported; it
# starts smaller and reaches this value after some hundreds of steps. None exports the weights themselves.
# Change it when training is long (nearer to 1), or for the weights of the last step as the reference has
# them (None).
# Read by: training.
EMA_DECAY: Decay | None = 0.999

# --- Losses -----------------------------------------------------------------------------------------------

# Weight of the position error of the marked lip vertices: the mean distance itself, in centimetres, not its
# square, which makes it robust against a few bad frames. Needs SKIN_LIP_DIST_VERTEX_LIST_FPATH. None: off.
# Change it when lips are to be precise, or data are few (docs/quality.md).
# Read by: training.
LOSS_LIP_POSITION_ALPHA: NonNegative | None = None

# --- Runtime ----------------------------------------------------------------------------------------------

# Where metrics, curves and a picture of a held-out frame go while training runs: "tensorboard" and "csv"
# (`metrics.csv`, from which `curves.png` is drawn) write into the run folder; "wandb", "mlflow" and
# "trackio" are extras of those names, and work without a network.
# Change it when you follow your runs in one of these programs.
# Read by: dataset check, training.
TRACKERS: list[TrackerName] = ["tensorboard", "csv"]

# Which weights are exported: "best" on the validation set, or "last". Without a validation set the last are
# exported.
# Change it when the validation set is too small to judge by.
# Read by: training.
EXPORTED_WEIGHTS: ExportedWeights = "best"

# Whether two runs with the same seeds on the same machine give the same weights, at some cost in speed.
# Change it when speed matters more.
# Read by: training.
REPRODUCIBLE: bool = True

# Seed of the initial weights and of the order of the data.
# Change it when you want to measure the spread between seeds.
# Read by: training.
RNG_SEED_TORCH: Seed = 42

# Seed of the validation split and of data augmentation.
# Change it when you want to measure the spread between seeds.
# Read by: training.
RNG_SEED_DATASET: Seed = 43

# Whether decoded recordings stay in memory.
# Change it when hours of audio do not fit.
# Read by: training.
AUDIO_DATA_CACHING: bool = True

# Has no effect: PCA components stay on the accelerator, and motion is moved there batch by batch.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_OBJECTS_TO_CUDA: bool = True

# The device of training; "auto" uses CUDA, else MPS, else the CPU.
# Change it when an accelerator should stay free ("cpu").
# Read by: training.
DEVICE: Device = "auto"

# The floating-point type of the network's computation; "auto" is bfloat16 on CUDA devices that support it,
# otherwise float32. Losses and weights are always float32.
# Change it when you compare devices ("float32"), or train a diffusion network of a large face on a processor
# that has bfloat16 ("bfloat16", nearly twice as fast there).
# Read by: training.
PRECISION: Precision = "auto"

# Whether the network is compiled at the start, which takes minutes and makes steps faster.
# Change it when training runs for hours on an accelerator.
# Read by: training.
COMPILE: bool = False

# Minutes between two checkpoints, from which training resumes after a stop or crash; 0 writes one after
# every step. The guide of the training framework, "Stopping and resuming", shows what a checkpoint holds.
# Change it when a checkpoint is large and the disk slow (longer), or the machine may vanish (shorter).
# Read by: training.
CHECKPOINT_PERIOD_MINUTES: NonNegative = 10.0

# Minutes of training, without pauses, after which it ends as if all epochs were done; None sets no limit.
# Change it when a result is needed in time. The learning rate schedule ignores this limit: adjust
# NUM_EPOCHS as well.
# Read by: training.
TIME_LIMIT_MINUTES: Positive | None = None


# Parameters of training that may change when a run is resumed: they do not affect the weights, or the checkpoint
# holds their effect.
FREE_PARAMETERS = {
    *("RUN_NAME", "RUN_INFO", "NETWORK_VERSION", "MODEL_LICENSE", "PRETRAINED_NET_FPATH", "DEFAULT_SHOT_EMOTION_NAME"),
    *("TRAIN_OUTPUT_ROOT", "FINAL_DEPLOY_ROOT", "TORCH_CACHE_ROOT", "PREPROC_ROOT", "PREPROC_RUN_NAME_FULL"),
    *("LOG_PERIOD", "TRACKERS", "VALIDATION_PERIOD_EPOCHS", "EXPORTED_WEIGHTS", "STREAMING_CFG"),
    *("COMPACTIFY_IMPLICIT_EMO_DB",),
    *("DEVICE", "COMPILE", "CHECKPOINT_PERIOD_MINUTES", "TIME_LIMIT_MINUTES"),
    *("SPEECH_FEATURES_ROOT", "SYNTHETIC_ROOT", "DISTILLATION_ROOT"),
    *("AUDIO_DATA_CACHING", "PHONEME_DATA_CACHING", "TARGET_DATA_CACHING", "TARGET_OBJECTS_TO_CUDA"),
}
