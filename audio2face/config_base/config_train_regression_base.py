"""Parameters of `config_train.py` for NETWORK_TYPE "regression".

What diffusion training shares with this is written out in both modules, so that a reader needs one of them only. This
file is not edited: a configuration overrides what differs.
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

# Last part of the run folder's name, after date and time.
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

# Which of the two kinds of network is trained. Every `config_train.py` must name it, since it decides which
# parameters there are.
# Change it when you want the other kind: "regression" is small, fast and for one actor, "diffusion" is
# larger, can learn several actors and often looks more alive.
# Read by: training, deployment, inference.
NETWORK_TYPE: Literal["regression"] = "regression"

# The name under which the run and the deployed model record their network. It selects nothing: NETWORK_TYPE does, and
# any name but that of its network is refused.
# Change it when NETWORK_TYPE changes, or leave it out, which does the same.
# Read by: training (writes it to network_info.json).
NETWORK_NAME: Literal["conv_w2v_autocorr"] = "conv_w2v_autocorr"

# Weights that training starts from: `weights.safetensors` of a run of ours, or `weights.pth` of the reference.
# Sizes and speech encoder must be the same. A diffusion network may have other actors than before: one that is new
# starts as the average of the others (weights of the reference do not name their actors; they count as the first of
# ACTOR_NAMES).
# Change it when you fine-tune an earlier run, or add an actor to it.
# Read by: training.
PRETRAINED_NET_FPATH: Annotated[str, workspace_file("", "train")] | None = None

# The folder that receives run folders.
# Change it when runs should lie elsewhere than in the workspace.
# Read by: training (writes), deployment and inference (read).
TRAIN_OUTPUT_ROOT: OutputFolder = "/workspace/output_train"

# The folder that receives deployed models.
# Change it when models should lie elsewhere than in the workspace.
# Read by: deployment.
FINAL_DEPLOY_ROOT: OutputFolder = "/workspace/output_deploy"

# The folder that keeps downloaded weights of speech encoders and phoneme recognisers.
# Change it when several workspaces share one store.
# Read by: training.
TORCH_CACHE_ROOT: OutputFolder = "/workspace/torch_cache"

# --- What preprocessing left ------------------------------------------------------------------------------

# The folder with preprocessing runs.
# Change it when PREPROC_OUTPUT_ROOT was changed.
# Read by: training, deployment, inference.
PREPROC_ROOT: OutputFolder = "/workspace/output_preproc"

# Per actor: the full name of the preprocessing run, such as "250909_135508_example". "latest", or no entry,
# takes the actor's newest run that was made from the data of this configuration. A run that is named is taken
# whatever it was made from, with a warning where the data differ.
# Change it when a certain run is wanted rather than the newest.
# Read by: training, deployment.
PREPROC_RUN_NAME_FULL: dict[Actor, Identifier] = {}

# Per actor: skin coefficients of all shots, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training.
SKIN_PCA_COEFFS_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train")]] = {}

# Per actor: skin shapes, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training, inference.
SKIN_PCA_SHAPES_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train", "inference")]] = {}

# Per actor: tongue coefficients of all shots, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training.
TONGUE_PCA_COEFFS_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train")]] = {}

# Per actor: tongue shapes, instead of those of the preprocessing run.
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

# --- What is learnt ---------------------------------------------------------------------------------------

# The parts of the network's output, in order. The networks that come with the framework need exactly this
# order.
# Change it when you wrote a network of your own.
# Read by: training.
TARGET_CHANNELS: list[Channel] = ["skin_coeffs", "tongue_coeffs", "jaw", "eye"]

# Has no effect here: regression learns at the rate of the recorded animation.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_FPS: FrameRate = 30.0

# Whether jaw, eyes and poses are divided by their scale, so that all parts weigh alike.
# Change it when you wrote a network of your own; the networks that come with the framework are made for the
# default.
# Read by: training.
RESCALE_TARGET_CHANNEL_DATA: bool = False

# The clips to learn from, rows (actor, shot, (first frame, last frame), speaker, language, audio file,
# audio offset). The last frame belongs to the clip; the audio file is relative to AUDIO_ROOT; the offset is
# in frames, also parts of one such as 0.5, and positive where the sound comes later than the face. Left
# empty, the template that preprocessing wrote is taken: every shot whole.
# Change it when clips are to be left out or cut, or languages named ("en", "zh"). Preprocessing prints a
# list to start from.
# Read by: training, inference.
CLIPS: list[Clip] = []

# Per actor: shots that are not learnt from, but on which training is judged from time to time. Their clips
# stay out in every voice.
# Change it when certain sentences should be compared between runs.
# Read by: training.
VALIDATION_SHOTS: dict[Actor, list[Identifier]] = {}

# Where VALIDATION_SHOTS names none, the part of each actor's shots that is held out, chosen at random from
# RNG_SEED_DATASET; of ten shots or more at least one. The only shot of an emotion, actor or language is never held out;
# the log says where fewer shots are for that. 0 trains on all shots and validates on none.
# Change it when every sentence is needed for learning (0), or the judgement is too uncertain (larger).
# Read by: training.
VALIDATION_FRACTION: Fraction = 0.05

# Rows (actor, (source shot, frame), length in frames, emotion): silence over which the face holds the pose
# of that frame. It teaches the network to be still, in every emotion, when nothing is said.
# Change it when the face moves in silence. One row per emotion, with a frame of closed, relaxed lips, is a
# good start.
# Read by: training, inference.
AUG_MUTED_SHOTS: list[MutedShot] = []

# Whether the skin of muted shots of the emotion "neutral" is the neutral pose itself rather than the frame
# named.
# Change it when the neutral pose is not how the actor rests.
# Read by: training.
AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO: bool = True

# Whether the tongue of muted shots is the neutral tongue rather than that of the frame named.
# Change it when the tongue twitches in silence.
# Read by: training.
AUG_MUTED_TONGUE_IS_NEUTRAL: bool = False

# What muted shots sound like: "mic" the hiss of a microphone, "gauss" white noise, None digital silence.
# Change it when silence in your recordings sounds otherwise.
# Read by: training.
AUG_MUTED_AUDIO_NOISE_TYPE: NoiseType | None = "mic"

# Loudness of that noise.
# Change it when the recordings are noisier or cleaner.
# Read by: training.
AUG_MUTED_AUDIO_NOISE_SCALE: NonNegative = 0.1

# One factor between these limits is drawn for each muted item and multiplies the loudness; None leaves it
# as it is.
# Change it when silence should always be equally loud.
# Read by: training.
AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE: tuple[NonNegative, NonNegative] | None = (0.0, 1.0)

# Random changes of the training data; None, or None for a single entry that allows it, switches them off.
# Change it when the network overfits. Pitch shift is for diffusion only.
# Read by: training.
AUGMENT: AugmentRegression = {
    # Width, in frames, of the range from which a shift in time is drawn, of sound and face together.
    "timeshift": 1.0,
}

# --- Emotions ---------------------------------------------------------------------------------------------

# The emotion that is the zero vector and no input of its own; None gives every emotion an input.
# Change it when SHOT_EMOTION_NAMES has no "neutral".
# Read by: training, inference.
SHOT_EMOTION_NAME_FOR_ALL_ZEROS: Emotion | None = "neutral"

# The emotion that the deployed model starts with.
# Change it when another emotion is the usual one.
# Read by: training (writes it to network_info.json).
DEFAULT_SHOT_EMOTION_NAME: Emotion = "neutral"

# --- Audio ------------------------------------------------------------------------------------------------

# How recordings are brought to the network's rate: "w2v" leaves their level, "nva2f" divides by their peak.
# Change it when recordings differ much in level ("nva2f").
# Read by: training.
AUDIO_PREPROC_METHOD: AudioMethod = "w2v"

# The network's audio window, in samples.
# Change it when you wrote a network of your own; the default is 0.52 s with the frame in the middle.
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

# Consecutive frames in one sample; 2 or more are needed for the losses on motion.
# Change it when motion should be judged over longer stretches; memory grows with it.
# Read by: training.
SEQ_LEN: Count = 2

# Frames between the starts of neighbouring samples.
# Change it when epochs take too long.
# Read by: training.
SEQ_STRIDE: Count = 1

# Whether samples with shut eyes are left out of the loss, so that the network does not learn to blink with
# the voice. Needs SKIN_EYE_DIST_VERTEX_LIST_FPATH.
# Change it when the animation has no blinks.
# Read by: training.
REMOVE_CLOSING_EYE: bool = True

# Distance of the lids, in the mesh's unit (centimetres), up to which eyes count as shut. The face must
# stand upright along y.
# Change it when the mesh has another unit, or the actor narrow eyes.
# Read by: training.
EYE_DIST_THRESHOLD: NonNegative = 0.35

# --- Phonemes ---------------------------------------------------------------------------------------------

# The languages whose phonemes the network also learns to name, which sharpens articulation. Empty switches
# it off.
# Change it when the recordings are in other languages than English.
# Read by: training.
PHONEME_FORCING_LANGS: list[PhonemeLanguage] = ["en"]

# Per language: the recognisers that name the phonemes of recordings without phoneme times (PHONEME_TIMES_ROOT), the
# first of which is on this machine or can be fetched: "pocketsphinx" and "charsiu-en" for English, "charsiu-zh" for
# Chinese. pocketsphinx aligns the words where a text file with them lies beside the recording, `<recording>.txt`.
# Change it when the weights of Charsiu are at hand, which is more exact where the words are not known.
# Read by: training.
PHONEME_DETECTORS: dict[PhonemeLanguage, list[Identifier]] = {
    # English.
    "en": ["pocketsphinx", "charsiu-en"],
    # Chinese.
    "zh": ["charsiu-zh"],
}

# Softness of the phoneme recogniser's answers: above 1 more even, below 1 more decided. It does not change phoneme
# times, nor the answers of pocketsphinx, which are always decided.
# Change it when the recogniser is sure of itself where it is wrong.
# Read by: training.
PHONEME_PROB_TEMPERATURE: Positive = 1.0

# --- Network ----------------------------------------------------------------------------------------------

# The speech encoder that hears for the network, by its name in the registry: "hubert-base" for diffusion and
# "wav2vec2-base" for regression as in the reference, or "hama", "logmel", "whisper-tiny.en", "whisper-base".
# Change it when its weights cannot be had ("hama" comes with a package), or another one hears better.
# Read by: training.
SPEECH_ENCODER: Identifier = "wav2vec2-base"

# Which hidden layers of the speech encoder are heard, counted from 0, for encoders that let one choose ("hama" has
# 0 to 4, "whisper-tiny.en" 0 to 4, "whisper-base" 0 to 6). Empty: all, by weights that are learnt.
# Change it when data are few: one layer from the middle, such as [2] of "hama", leaves less to learn by heart.
# Read by: training.
SPEECH_ENCODER_LAYERS: list[Index] = []

# Noise that the features of the speech encoder get in training, as a share of their own size. It never sounds; it keeps
# a network with few recordings from learning them by heart.
# Change it when figures on held-out shots fall while the loss still does (0.5 to 1).
# Read by: training.
SPEECH_FEATURE_NOISE: NonNegative = 0.0

# How speech features are made in training: "fast" extracts those of every window once, before training, at a few shifts
# in time, with the encoder in evaluation mode, and keeps them on disk; "exact" makes them at every step, with the
# encoder's dropout on, as the reference does. The features of an encoder that is trained itself are made at every step.
# Change it when disk space is short, or you compare with the reference ("exact").
# Read by: training.
SPEECH_FEATURES: SpeechFeatures = "fast"

# At how many shifts in time within AUGMENT["timeshift"], evenly spread, every window is heard if SPEECH_FEATURES is
# "fast". Each takes about 40 kB of disk per frame of animation.
# Change it when the network overfits (more) or disk space is short (fewer).
# Read by: training.
SPEECH_FEATURE_SHIFTS: Count = 2

# The folder that keeps what was heard. It may be removed when no training runs; what is needed is made again.
# Change it when the workspace lies on a slow or small disk.
# Read by: training.
SPEECH_FEATURES_ROOT: OutputFolder = "/workspace/speech_features"

# The network's inner sizes and switches.
# Change it when you study the network itself. Runs with other values cannot share weights.
# Read by: training.
NETWORK_HYPER_PARAMS: NetworkRegression = {
    # Whether the speech encoder's features are an input.
    "use_w2v_features": True,
    # Whether autocorrelation features (pitch, voicing) are an input.
    "use_autocorr_features": True,
    # Whether the speech encoder stays as it was pretrained.
    "w2v_freeze": True,
    # How many of the speech encoder's layers are used.
    "w2v_num_layers": 1,
    # How autocorrelation features are made.
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
        # Shape of the window; None is rectangular.
        "win_func": "hanning",
    },
    # Values of the learnt emotion that each training frame has of its own.
    "implicit_emotion_len": 16,
    # Values that the emotion vector is turned into.
    "explicit_emo_emb_len": 8,
}

# Spread of the implicit emotions at the start.
# Change it when you study how they form.
# Read by: training.
EMO_INIT_SIGMA: NonNegative = 0.01

# How much faster than the network the implicit emotions learn.
# Change it when mouths stay too average (larger) or follow the implicit emotion instead of the sound
# (smaller).
# Read by: training.
EMO_LR_MULT: NonNegative = 1.0

# Whether the deployed table of implicit emotions keeps the frames of CLIPS only. Frame numbers then count
# from the first frame kept, which matters for source_frame.
# Change it when CLIPS use a small part of the shots.
# Read by: training.
COMPACTIFY_IMPLICIT_EMO_DB: bool = False

# --- Optimisation -----------------------------------------------------------------------------------------

# Samples per step.
# Change it when memory is short (smaller) or the accelerator is idle (larger, with a larger LEARNING_RATE).
# Read by: training.
BATCH_SIZE: Count = 32

# Over how many batches gradients are gathered before the weights change.
# Change it when training is restless or memory does not allow a larger BATCH_SIZE (more), or data are few (fewer).
# Read by: training.
GRADIENT_ACCUMULATION_STEPS: Count = 1

# Whether gradients are gathered as the reference does: summed instead of averaged, the first update of an epoch
# after one batch, and what is left over at its end dropped.
# Change it when you compare with the reference.
# Read by: training.
REFERENCE_ACCUMULATION: bool = False

# How often all data are seen.
# Change it when the loss still falls at the end (more) or the data are many (fewer).
# Read by: training.
NUM_EPOCHS: Count = 50

# Size of a step.
# Change it when the loss jumps (smaller) or hardly moves (larger).
# Read by: training.
LEARNING_RATE: Positive = 0.0002

# Factor on the learning rate after every epoch.
# Change it when NUM_EPOCHS changes much: over more epochs a value nearer to 1.
# Read by: training.
LR_STEP_GAMMA: UnitShare = 0.994

# The longest that all gradients of a step together may be; longer ones are shortened to it. None: as they are.
# Change it when the loss jumps now and then (1.0 is a good start).
# Read by: training.
GRADIENT_CLIP_NORM: Positive | None = None

# How slowly the running average of the weights, which is validated and exported, follows them: what is kept of it
# at each step, less in the first hundreds of steps. None exports the weights themselves.
# Change it when training is long (nearer to 1), or for the weights of the last step as the reference has them (None).
# Read by: training.
EMA_DECAY: Decay | None = 0.999

# --- Losses -----------------------------------------------------------------------------------------------

# Weight of the plain difference between prediction and recording, over all outputs. None leaves any loss
# out.
# Change it when the other losses need more say (smaller).
# Read by: training.
LOSS_MSE_ALPHA: NonNegative | None = 1.0

# Weight of the difference in motion from frame to frame.
# Change it when the face trembles (larger) or is sluggish (smaller).
# Read by: training.
LOSS_MOTION_ALPHA: NonNegative | None = 10.0

# Weight of keeping implicit emotions steady in time.
# Change it when the mouth follows the implicit emotion instead of the sound (larger).
# Read by: training.
LOSS_EMO_REG_ALPHA: NonNegative | None = 1.0

# Weight of the difference in how far the lips are apart; needs SKIN_LIP_DIST_VERTEX_LIST_FPATH.
# Change it when lips do not close on p, b, m (larger) or chatter (smaller).
# Read by: training.
LOSS_LIP_DIST_ALPHA: NonNegative | None = 100.0

# How quickly that loss fades where the recorded lips are open: the weight is exp(-value * opening). 0
# weighs open and shut alike.
# Change it when only closed lips should count (larger) or open mouths lack precision (smaller).
# Read by: training.
LOSS_LIP_DIST_EXP: NonNegative = 1.0

# Factors on the lip distance loss by emotion; an emotion that is not named has 1.
# Change it when lips close well in some emotions only.
# Read by: training.
LOSS_LIP_DIST_EMO_WEIGHTS: dict[Emotion, NonNegative] | None = None

# Weight of how far the marked vertices of the lips are from their true places: the mean distance itself, in
# centimetres, not its square, so that a few bad frames do not decide. Needs SKIN_LIP_DIST_VERTEX_LIST_FPATH. None: off.
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

# Weight of being still where the sound is quiet ("vol" is loudness).
# Change it when the face trembles in pauses (larger) or starts late (smaller).
# Read by: training.
LOSS_VOL_STAB_REG_ALPHA: NonNegative | None = 100.0

# How quickly that loss fades with loudness: the weight is exp(-value * mean absolute sample).
# Change it when the recordings are very quiet (larger) or noisy in pauses (smaller).
# Read by: training.
LOSS_VOL_STAB_REG_EXP: NonNegative = 5000.0

# Weight of naming the phoneme. None switches off everything about phonemes, whatever
# LOSS_PHONEME_MOTION_ALPHA says.
# Change it when the recordings' language is neither English nor Chinese (None).
# Read by: training.
LOSS_PHONEME_ALPHA: NonNegative | None = 0.1

# How much silence counts among the phonemes.
# Change it when the recordings are mostly pauses (smaller).
# Read by: training.
LOSS_PHONEME_SIL_WEIGHT: NonNegative = 1.0

# Weight of phonemes changing when they change in the recording.
# Change it when articulation is mushy (larger).
# Read by: training.
LOSS_PHONEME_MOTION_ALPHA: NonNegative | None = 0.05

# Whether that loss compares changes of logits with changes of probabilities, as the reference does, rather than
# probabilities with probabilities.
# Change it when you compare with the reference.
# Read by: training.
REFERENCE_PHONEME_MOTION: bool = False

# --- How it works -----------------------------------------------------------------------------------------

# Steps between two lines of the log, counted from the start of each epoch.
# Change it when you want to look closer, or less often.
# Read by: training.
LOG_PERIOD: Count = 50

# After how many epochs the network is tried on the shots held out; it is always tried at the end.
# Change it when that takes a large part of the time (larger) or the best moment is missed (smaller).
# Read by: training.
VALIDATION_PERIOD_EPOCHS: Count = 5

# Which weights are exported: "best" on the shots held out, or "last". Without such shots it is the last.
# Change it when shots held out are too few to judge by.
# Read by: training.
EXPORTED_WEIGHTS: ExportedWeights = "best"

# Whether two runs with the same seeds on the same machine give the same weights; it costs some speed.
# Change it when speed matters more.
# Read by: training.
REPRODUCIBLE: bool = True

# Start of the random numbers of weights and of the order of the data.
# Change it when you want to see how much luck is in a result.
# Read by: training.
RNG_SEED_TORCH: Seed = 42

# Start of the random numbers of augmentation.
# Change it when you want to see how much luck is in a result.
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

# Has no effect: shapes stay on the accelerator, and motion goes there batch by batch.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_OBJECTS_TO_CUDA: bool = True

# Where the network is trained; "auto" takes CUDA, else MPS, else the CPU.
# Change it when an accelerator is to be left alone ("cpu").
# Read by: training.
DEVICE: Device = "auto"

# What the network calculates in; "auto" is bfloat16 on CUDA devices that have it, otherwise float32. Losses and
# weights are always float32.
# Change it when you compare devices ("float32").
# Read by: training.
PRECISION: Precision = "auto"

# Whether the network is compiled at the start, which takes minutes and makes steps faster.
# Change it when training runs for hours on an accelerator.
# Read by: training.
COMPILE: bool = False

# Minutes between two checkpoints, from which training goes on after a stop or crash; 0 writes one after every step.
# Change it when a checkpoint is large and the disk slow (longer), or the machine may vanish (shorter).
# Read by: training.
CHECKPOINT_PERIOD_MINUTES: NonNegative = 10.0

# Minutes of training, pauses left out, after which it ends as if all epochs were done; None sets no limit.
# Change it when a result is needed in time. The learning rate does not know of it: fit NUM_EPOCHS as well.
# Read by: training.
TIME_LIMIT_MINUTES: Positive | None = None
