"""Parameters of `config_train.py` for NETWORK_TYPE "regression".

The parameters that diffusion training shares are written out in both modules, so that each reads alone. A
configuration overrides the defaults; this file stays as it is.
"""

from __future__ import annotations

from typing import Annotated, Literal

from audio2face.config_base.types import (
    Actor,
    AudioMethod,
    AudioParamsRegression,
    AugmentRegression,
    Channel,
    Clip,
    Count,
    Decay,
    Device,
    Emotion,
    ExportedWeights,
    Fraction,
    FrameRate,
    Identifier,
    Index,
    MutedShot,
    NetworkRegression,
    NoiseType,
    NonNegative,
    OutputFolder,
    PhonemeLanguage,
    Positive,
    Precision,
    Seed,
    SpeechFeatures,
    UnitShare,
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

# Which network is trained. Every `config_train.py` must set it, since the parameters depend on it.
# Change it when you want the other network: "regression" is small, fast and for one actor, "diffusion" is
# larger, supports several actors and often looks more alive.
# Read by: training, deployment, inference.
NETWORK_TYPE: Literal["regression"] = "regression"

# The name of the network in the run and the deployed model. NETWORK_TYPE selects the network; a name that
# does not match it is refused.
# Change it when NETWORK_TYPE changes, or omit it, which has the same effect.
# Read by: training (writes it to network_info.json).
NETWORK_NAME: Literal["conv_w2v_autocorr"] = "conv_w2v_autocorr"

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

# Per actor: the full name of the preprocessing run, such as "250909_135508_example". By default, and with
# "latest", the actor's newest run that was made from the data of this configuration is used. A run that is
# named is used in any case, with a warning where its data differ.
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

# The channels of the network's output, in order. The networks of the framework need exactly this order.
# Change it when you added a network of your own.
# Read by: training.
TARGET_CHANNELS: list[Channel] = ["skin_coeffs", "tongue_coeffs", "jaw", "eye"]

# Has no effect here: regression trains at the rate of the recorded animation.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_FPS: FrameRate = 30.0

# Whether jaw, eyes and poses are divided by their scale, so that all channels have the same weight.
# Change it when you added a network of your own; the networks of the framework are made for the default.
# Read by: training.
RESCALE_TARGET_CHANNEL_DATA: bool = False

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

# Data augmentation of the training set; None, or None for a single entry that allows it, disables it.
# Change it when the network overfits. Pitch shift is for diffusion only.
# Read by: training.
AUGMENT: AugmentRegression = {
    # Width, in frames, of the range of random time shifts of audio and face together.
    "timeshift": 1.0,
}

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

# The network's audio window, in samples.
# Change it when you added a network of your own; the default is 0.52 s with the frame in the middle.
# Read by: training (and the consumer of the deployed model).
AUDIO_PARAMS: AudioParamsRegression = {
    # Length of the window.
    "buffer_len": 8320,
    # Where in the window the middle of the frame lies.
    "buffer_ofs": 4160,
    # Samples per second.
    "samplerate": 16000,
}

# --- Samples ----------------------------------------------------------------------------------------------

# Number of consecutive frames in one sample; the velocity losses need 2 or more.
# Change it when velocity should be compared over longer stretches; memory grows with it.
# Read by: training.
SEQ_LEN: Count = 2

# Frames between the starts of neighbouring samples.
# Change it when epochs take too long.
# Read by: training.
SEQ_STRIDE: Count = 1

# Whether samples with shut eyes are excluded from the loss, so that the network does not learn to blink
# with the voice. Needs SKIN_EYE_DIST_VERTEX_LIST_FPATH.
# Change it when the animation has no blinks.
# Read by: training.
REMOVE_CLOSING_EYE: bool = True

# The distance of the lids, in the mesh's unit (centimetres), up to which eyes count as shut. The y axis of
# the mesh must point up.
# Change it when the mesh has another unit, or the actor narrow eyes.
# Read by: training.
EYE_DIST_THRESHOLD: NonNegative = 0.35

# --- Phonemes ---------------------------------------------------------------------------------------------

# The languages whose phonemes the network is also trained to recognise, which sharpens articulation. Empty
# disables it.
# Change it when the recordings are in other languages than English.
# Read by: training.
PHONEME_FORCING_LANGS: list[PhonemeLanguage] = ["en"]

# Per language: the phoneme recognisers for recordings without phoneme times (PHONEME_TIMES_ROOT). The first
# one that is installed or can be downloaded is used: "pocketsphinx" and "charsiu-en" for English,
# "charsiu-zh" for Chinese. pocketsphinx aligns the words of a text file next to the recording,
# `<recording>.txt`, where there is one.
# Change it when the weights of Charsiu are available, which is more accurate where the words are unknown.
# Read by: training.
PHONEME_DETECTORS: dict[PhonemeLanguage, list[Identifier]] = {
    # English.
    "en": ["pocketsphinx", "charsiu-en"],
    # Chinese.
    "zh": ["charsiu-zh"],
}

# Temperature of the phoneme recogniser's probabilities: above 1 they are softer, below 1 sharper. Phoneme
# times and the results of pocketsphinx, which are always one-hot, stay as they are.
# Change it when the recogniser is confident where it is wrong.
# Read by: training.
PHONEME_PROB_TEMPERATURE: Positive = 1.0

# --- Network ----------------------------------------------------------------------------------------------

# The speech encoder, by its name in the registry: "hubert-base" for diffusion and "wav2vec2-base" for
# regression as in the reference, or "hama", "logmel", "whisper-tiny.en", "whisper-base".
# Change it when its weights are not available ("hama" comes with a package), or another encoder suits the
# language better.
# Read by: training.
SPEECH_ENCODER: Identifier = "wav2vec2-base"

# The hidden layers of the speech encoder that are used, counted from 0, for encoders with a choice ("hama"
# has 0 to 4, "whisper-tiny.en" 0 to 4, "whisper-base" 0 to 6). Empty: a weighted sum of all, with trainable
# weights.
# Change it when data are few: one layer from the middle, such as [2] of "hama", reduces overfitting.
# Read by: training.
SPEECH_ENCODER_LAYERS: list[Index] = []

# Noise added to the features of the speech encoder in training, as a fraction of their own size. It reduces
# overfitting on few recordings.
# Change it when validation figures get worse while the training loss still falls (0.5 to 1).
# Read by: training.
SPEECH_FEATURE_NOISE: NonNegative = 0.0

# How speech features are computed in training: "fast" extracts the features of every window once, before
# training, at a few time shifts, with the encoder in evaluation mode, and keeps them on disk; "exact"
# computes them at every step, with the encoder's dropout on, as the reference does. The features of an
# encoder that is trained itself are computed at every step.
# Change it when disk space is short, or you compare with the reference ("exact").
# Read by: training.
SPEECH_FEATURES: SpeechFeatures = "fast"

# The number of time shifts within AUGMENT["timeshift"], evenly spread, at which the features of every
# window are extracted if SPEECH_FEATURES is "fast". Each takes about 40 kB of disk per frame of animation.
# Change it when the network overfits (more) or disk space is short (fewer).
# Read by: training.
SPEECH_FEATURE_SHIFTS: Count = 2

# The cache folder of speech features. It may be removed when no training runs; missing features are
# extracted again.
# Change it when the workspace is on a slow or small disk.
# Read by: training.
SPEECH_FEATURES_ROOT: OutputFolder = "/workspace/speech_features"

# Sizes and switches of the network.
# Change it when you study the network itself. Weights fit only the values that they were trained with.
# Read by: training.
NETWORK_HYPER_PARAMS: NetworkRegression = {
    # Whether the speech encoder's features are an input.
    "use_w2v_features": True,
    # Whether autocorrelation features (pitch, voicing) are an input.
    "use_autocorr_features": True,
    # Whether the speech encoder is frozen.
    "w2v_freeze": True,
    # Number of the speech encoder's layers that are used.
    "w2v_num_layers": 1,
    # Parameters of the autocorrelation features.
    "autocorr_params": {
        # Values kept per window.
        "num_autocorr": 32,
        # Windows per frame.
        "num_windows": 25,
        # Length of a window, in samples.
        "win_len": 640,
        # Samples between neighbouring windows.
        "win_stride": 320,
        # Strength of the pre-emphasis filter; 0 is none.
        "preemph": 0.0,
        # Whether the mean of each window is removed.
        "remove_dc": True,
        # Window function; None is rectangular.
        "win_func": "hanning",
    },
    # Size of the implicit emotion, a trainable vector per training frame.
    "implicit_emotion_len": 16,
    # Size of the emotion embedding.
    "explicit_emo_emb_len": 8,
}

# Standard deviation of the initial implicit emotions.
# Change it when you study how they form.
# Read by: training.
EMO_INIT_SIGMA: NonNegative = 0.01

# Factor on the learning rate of the implicit emotions.
# Change it when mouths stay too average (larger) or follow the implicit emotion instead of the audio
# (smaller).
# Read by: training.
EMO_LR_MULT: NonNegative = 1.0

# Whether the deployed table of implicit emotions contains the frames of CLIPS only. Frame numbers then
# count from the first frame kept, which matters for source_frame.
# Change it when CLIPS use a small part of the shots.
# Read by: training.
COMPACTIFY_IMPLICIT_EMO_DB: bool = False

# --- Optimisation -----------------------------------------------------------------------------------------

# Samples per batch.
# Change it when memory is short (smaller) or the accelerator is idle (larger, with a larger LEARNING_RATE).
# Read by: training.
BATCH_SIZE: Count = 32

# The number of batches over which gradients are accumulated for one optimizer step.
# Change it when the loss is noisy or memory does not allow a larger BATCH_SIZE (more), or data are few
# (fewer).
# Read by: training.
GRADIENT_ACCUMULATION_STEPS: Count = 1

# Whether gradients are accumulated as in the reference: summed instead of averaged, with the first
# optimizer step of an epoch after one batch, and the remaining batches at its end dropped.
# Change it when you compare with the reference.
# Read by: training.
REFERENCE_ACCUMULATION: bool = False

# The number of passes over the training set.
# Change it when the loss still falls at the end (more) or the data are many (fewer).
# Read by: training.
NUM_EPOCHS: Count = 50

# The learning rate of the optimizer.
# Change it when the loss jumps (smaller) or hardly moves (larger).
# Read by: training.
LEARNING_RATE: Positive = 0.0002

# The factor on the learning rate after every epoch.
# Change it when NUM_EPOCHS changes much: over more epochs a value nearer to 1.
# Read by: training.
LR_STEP_GAMMA: UnitShare = 0.994

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

# Weight of the mean squared error between prediction and recording, over all channels. None disables a
# loss.
# Change it when the other losses should count more (smaller).
# Read by: training.
LOSS_MSE_ALPHA: NonNegative | None = 1.0

# Weight of the difference in velocity (change from frame to frame).
# Change it when the face trembles (larger) or is sluggish (smaller).
# Read by: training.
LOSS_MOTION_ALPHA: NonNegative | None = 10.0

# Weight of the smoothness of implicit emotions over time.
# Change it when the mouth follows the implicit emotion instead of the audio (larger).
# Read by: training.
LOSS_EMO_REG_ALPHA: NonNegative | None = 1.0

# Weight of the difference in the distance between the lips; needs SKIN_LIP_DIST_VERTEX_LIST_FPATH.
# Change it when lips do not close on p, b, m (larger) or chatter (smaller).
# Read by: training.
LOSS_LIP_DIST_ALPHA: NonNegative | None = 100.0

# The decay of that loss with the opening of the recorded lips: its weight is exp(-value * opening). 0 gives
# open and closed lips the same weight.
# Change it when only closed lips should count (larger) or open mouths lack precision (smaller).
# Read by: training.
LOSS_LIP_DIST_EXP: NonNegative = 1.0

# Factors on the lip distance loss by emotion; an emotion that is not named has 1.
# Change it when lips close well in some emotions only.
# Read by: training.
LOSS_LIP_DIST_EMO_WEIGHTS: dict[Emotion, NonNegative] | None = None

# Weight of the position error of the marked lip vertices: the mean distance itself, in centimetres, not its
# square, which makes it robust against a few bad frames. Needs SKIN_LIP_DIST_VERTEX_LIST_FPATH. None: off.
# Change it when lips are to be precise, or data are few (docs/quality.md).
# Read by: training.
LOSS_LIP_POSITION_ALPHA: NonNegative | None = None

# Weight of the difference in the lips' thickness; needs SKIN_LIP_SIZE_VERTEX_LIST_FPATH. None: off.
# Change it when lips are not pressed or rolled in as recorded.
# Read by: training.
LOSS_LIP_SIZE_ALPHA: NonNegative | None = None

# Factors on the lip size loss by emotion; an emotion that is not named has 1.
# Change it when lips look right in some emotions only.
# Read by: training.
LOSS_LIP_SIZE_EMO_WEIGHTS: dict[Emotion, NonNegative] | None = None

# Weight of stillness in silence ("vol" is loudness).
# Change it when the face trembles in pauses (larger) or starts late (smaller).
# Read by: training.
LOSS_VOL_STAB_REG_ALPHA: NonNegative | None = 100.0

# The decay of that loss with loudness: its weight is exp(-value * mean absolute sample).
# Change it when the recordings are very quiet (larger) or noisy in pauses (smaller).
# Read by: training.
LOSS_VOL_STAB_REG_EXP: NonNegative = 5000.0

# Weight of phoneme recognition. None disables both phoneme losses, whatever LOSS_PHONEME_MOTION_ALPHA says.
# Change it when the recordings' language is neither English nor Chinese (None).
# Read by: training.
LOSS_PHONEME_ALPHA: NonNegative | None = 0.1

# The weight of silence among the phonemes.
# Change it when the recordings are mostly pauses (smaller).
# Read by: training.
LOSS_PHONEME_SIL_WEIGHT: NonNegative = 1.0

# Weight of the difference in the phonemes' velocity (change from frame to frame).
# Change it when articulation is mushy (larger).
# Read by: training.
LOSS_PHONEME_MOTION_ALPHA: NonNegative | None = 0.05

# Whether that loss compares changes of logits with changes of probabilities, as the reference does, instead
# of probabilities with probabilities.
# Change it when you compare with the reference.
# Read by: training.
REFERENCE_PHONEME_MOTION: bool = False

# --- Runtime ----------------------------------------------------------------------------------------------

# The number of steps between two lines of the log, counted from the start of each epoch.
# Change it when you want more or fewer lines.
# Read by: training.
LOG_PERIOD: Count = 50

# The number of epochs between two validations; the last epoch is always validated.
# Change it when that takes a large part of the time (larger) or the best moment is missed (smaller).
# Read by: training.
VALIDATION_PERIOD_EPOCHS: Count = 5

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

# Whether recognised phonemes stay in memory.
# Change it when hours of audio do not fit.
# Read by: training.
PHONEME_DATA_CACHING: bool = True

# Has no effect here: targets are coefficients, which always stay in memory.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_DATA_CACHING: bool = True

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
# Change it when you compare devices ("float32").
# Read by: training.
PRECISION: Precision = "auto"

# Whether the network is compiled at the start, which takes minutes and makes steps faster.
# Change it when training runs for hours on an accelerator.
# Read by: training.
COMPILE: bool = False

# Minutes between two checkpoints, from which training resumes after a stop or crash; 0 writes one after
# every step.
# Change it when a checkpoint is large and the disk slow (longer), or the machine may vanish (shorter).
# Read by: training.
CHECKPOINT_PERIOD_MINUTES: NonNegative = 10.0

# Minutes of training, without pauses, after which it ends as if all epochs were done; None sets no limit.
# Change it when a result is needed in time. The learning rate schedule ignores this limit: adjust
# NUM_EPOCHS as well.
# Read by: training.
TIME_LIMIT_MINUTES: Positive | None = None
