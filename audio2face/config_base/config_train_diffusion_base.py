"""Parameters of `config_train.py` for NETWORK_TYPE "diffusion".

What regression training shares with this is written out in both modules, so that a reader needs one of them only. This
file is not edited: a configuration overrides what differs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from audio2face.config_base.types import (
    Actor,
    AudioMethod,
    AudioParamsDiffusion,
    AugmentDiffusion,
    Channel,
    Clip,
    Count,
    Decay,
    Device,
    DiffusionRate,
    Emotion,
    ExportedWeights,
    Fraction,
    Identifier,
    Index,
    MutedShot,
    NetworkDiffusion,
    NoiseSchedule,
    NoiseType,
    NonNegative,
    OutputFolder,
    Positive,
    Precision,
    Respacing,
    Seed,
    StreamingWindow,
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
NETWORK_TYPE: Literal["diffusion"] = "diffusion"

# The name under which the run and the deployed model record their network. It selects nothing: NETWORK_TYPE does, and
# any name but that of its network is refused.
# Change it when NETWORK_TYPE changes, or leave it out, which does the same.
# Read by: training (writes it to network_info.json).
NETWORK_NAME: Literal["diffusion_rnn"] = "diffusion_rnn"

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

# Per actor: the mean geometry, instead of that of the preprocessing run.
# Change it when you made it by other means.
# Read by: training, inference.
MEAN_GEOMETRY_FPATH: dict[Actor, Annotated[str, workspace_file(".npy", "train", "inference")]] = {}

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
TARGET_CHANNELS: list[Channel] = ["skin_pose", "tongue_pose", "jaw", "eye"]

# Frames per second of the network's output. Animation is resampled to it from whatever rate it was recorded at, and
# finished animations may have any rate again (run_inference.py --fps).
# Change it when the consumer plays 30 frames per second; that halves the work. hubert_feature_dim follows
# by itself.
# Read by: training, ONNX export, inference.
TARGET_FPS: DiffusionRate = 60.0

# Whether jaw, eyes and poses are divided by their scale, so that all parts weigh alike.
# Change it when you wrote a network of your own; the networks that come with the framework are made for the
# default.
# Read by: training.
RESCALE_TARGET_CHANNEL_DATA: bool = True

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
# Change it when the network should serve voices unlike the recorded ones (wider pitch shift), or just the
# recorded voice (`"pitch_shift": None`).
# Read by: training.
AUGMENT: AugmentDiffusion = {
    # Width, in frames, of the range from which a shift in time is drawn, of sound and face together.
    "timeshift": 0.0,
    # Raises or lowers the voice, without changing its timing, in a part `p` of the items; None switches it
    # off.
    "pitch_shift": {
        # Lowest shift, in semitones.
        "min_semitones": -2.0,
        # Highest shift, in semitones.
        "max_semitones": 2.0,
        # The part of the items that are shifted.
        "p": 0.2,
    },
}

# Whether each item of an epoch is a random part of a clip instead of the whole clip.
# Change it when clips are short anyway.
# Read by: training.
TRAIN_ON_RANDOM_SUBSEGMENT: bool = True

# Shortest part, in frames of TARGET_FPS. At least 0.2 s, which the speech encoder needs.
# Change it when sentences are shorter than half a second.
# Read by: training.
SUBSEGMENT_MIN_FRAME: Count = 30

# Longest part, in frames of TARGET_FPS.
# Change it when memory is short (smaller) or long sentences drift (larger).
# Read by: training.
SUBSEGMENT_MAX_FRAME: Count = 600

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
# Change it when STREAMING_CFG changes; buffer_len must be its window_size.
# Read by: training (only samplerate; the rest is for the consumer of the deployed model).
AUDIO_PARAMS: AudioParamsDiffusion = {
    # Length of the window that a streaming consumer fills.
    "buffer_len": 16000,
    # Samples of silence before the first window.
    "padding_left": 16000,
    # Samples of silence after the last window.
    "padding_right": 16000,
    # Samples per second.
    "samplerate": 16000,
}

# Whether audio is left as it is at inference (True) or brought to zero mean and unit variance (False).
# Training never does the latter.
# Change it when you compare with an encoder that was trained on standardised audio.
# Read by: inference.
NO_STANDARDIZE_AUDIO: bool = True

# --- Network ----------------------------------------------------------------------------------------------

# The speech encoder that hears for the network, by its name in the registry: "hubert-base" for diffusion and
# "wav2vec2-base" for regression as in the reference, or "hama", "logmel", "whisper-tiny.en", "whisper-base".
# Change it when its weights cannot be had ("hama" comes with a package), or another one hears better.
# Read by: training.
SPEECH_ENCODER: Identifier = "hubert-base"

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

# The network's inner sizes and switches.
# Change it when you study the network itself. Runs with other values cannot share weights.
# Read by: training.
NETWORK_HYPER_PARAMS: NetworkDiffusion = {
    # Width of the features that enter the recurrent layers.
    "feature_dim": 256,
    # Values that the jaw is reduced to.
    "jaw_latent_dim": 15,
    # Values that the tongue is reduced to.
    "tongue_latent_dim": 10,
    # Values that the eyes are reduced to.
    "eye_latent_dim": 4,
    # Width of the recurrent layers.
    "gru_feature_dim": 256,
    # Number of recurrent layers.
    "num_gru_layers": 2,
    # Values that the emotion vector is turned into.
    "emo_embedding_dim": 32,
    # Values that the actor vector is turned into.
    "actor_embedding_dim": 32,
    # Width of the speech features of one frame: 768 at 60 frames per second, 1536 (two steps) at 30; left
    # out, it follows TARGET_FPS. Speech encoders other than "hubert-base" bring their own width instead.
    "hubert_feature_dim": 768,
}

# Number of noise levels that training knows.
# Change it when you study diffusion itself; weights do not fit another number.
# Read by: training, inference, ONNX export.
DIFFUSION_STEPS: Count = 1000

# How noise grows over the levels.
# Change it when you study diffusion itself.
# Read by: training, inference, ONNX export.
DIFFUSION_NOISE_SCHEDULE: NoiseSchedule = "cosine"

# The noise levels that training draws from, such as "100" for 100 evenly spread ones. Empty: all.
# Change it when you study diffusion itself. The levels at inference are set in config_inference.py.
# Read by: training.
TIMESTEP_RESPACING: Respacing = ""

# How a streaming consumer cuts audio into overlapping windows, for each TARGET_FPS.
# Change it when latency matters more than quality (shorter windows). block_frame_size is half of
# window_size.
# Read by: inference, ONNX export.
STREAMING_CFG: dict[str, StreamingWindow] = {
    # Windows at 60 frames per second.
    "60": {
        # Samples of silence before the audio.
        "audio_pad_left": 16000,
        # Samples of silence after the audio.
        "audio_pad_right": 16000,
        # Length of a window, in samples.
        "window_size": 16000,
        # Frames dropped at the start of a window.
        "left_truncate": 15,
        # Frames dropped at the end of a window.
        "right_truncate": 15,
        # Frames kept from a window.
        "block_frame_size": 30,
    },
    # Windows at 30 frames per second.
    "30": {
        # Samples of silence before the audio.
        "audio_pad_left": 16000,
        # Samples of silence after the audio.
        "audio_pad_right": 16000,
        # Length of a window, in samples.
        "window_size": 16000,
        # Frames dropped at the start of a window.
        "left_truncate": 7,
        # Frames dropped at the end of a window.
        "right_truncate": 8,
        # Frames kept from a window.
        "block_frame_size": 15,
    },
}

# --- Optimisation -----------------------------------------------------------------------------------------

# Clips per step.
# Change it when memory allows more than one; GRADIENT_ACCUMULATION_STEPS gives the same effect without
# memory.
# Read by: training.
BATCH_SIZE: Count = 1

# Whether the segments of a batch keep lengths of their own and are padded to the longest. Otherwise all have
# the length drawn for the first, or that of the shortest clip among them, and nothing is wasted. Whole clips
# always keep their lengths.
# Change it when clips differ so much in length that a short one often cuts the others.
# Read by: training.
PAD_BATCHES: bool = False

# Over how many batches gradients are gathered before the weights change.
# Change it when training is restless or memory does not allow a larger BATCH_SIZE (more), or data are few (fewer).
# Read by: training.
GRADIENT_ACCUMULATION_STEPS: Count = 4

# Whether gradients are gathered as the reference does: summed instead of averaged, the first update of an epoch
# after one batch, and what is left over at its end dropped.
# Change it when you compare with the reference.
# Read by: training.
REFERENCE_ACCUMULATION: bool = False

# How often all data are seen.
# Change it when the loss still falls at the end (more) or the data are many (fewer). Below 11 the learning
# rate never leaves its warm-up.
# Read by: training.
NUM_EPOCHS: Count = 400

# Size of a step.
# Change it when the loss jumps (smaller) or hardly moves (larger).
# Read by: training.
LEARNING_RATE: Positive = 5e-5

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

# Has no effect here: diffusion has LOSS_VELOCITY_ALPHA.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
LOSS_MOTION_ALPHA: NonNegative | None = 0.0

# Weight of the difference of the skin's motion from frame to frame, on normalised values. None leaves any
# loss out.
# Change it when the face trembles (larger).
# Read by: training.
LOSS_VELOCITY_ALPHA: NonNegative | None = 0.0

# Weight of a still upper face; where that is follows from SKIN_EYE_DIST_VERTEX_LIST_FPATH.
# Change it when brows and forehead tremble (larger) or are lifeless (smaller).
# Read by: training.
LOSS_EXP_SMOOTH_ALPHA: NonNegative | None = 25.0

# Factor on the tongue's values in the main loss; since it is applied before squaring, small errors count
# with its square.
# Change it when the tongue is too careless (larger).
# Read by: training.
TONGUE_WEIGHT: NonNegative = 0.1

# Factor on the jaw's values in the main loss; since it is applied before squaring, small errors count with
# its square.
# Change it when the lower teeth are too careless (larger).
# Read by: training.
JAW_WEIGHT: NonNegative = 1.0

# Weight of the difference in how far the lips are apart; needs SKIN_LIP_DIST_VERTEX_LIST_FPATH.
# Change it when lips do not close on p, b, m (larger) or chatter (smaller).
# Read by: training.
LOSS_LIP_DIST_ALPHA: NonNegative | None = 1e-5

# How quickly that loss fades where the recorded lips are open: the weight is exp(-value * opening). 0
# weighs open and shut alike.
# Change it when only closed lips should count (larger) or open mouths lack precision (smaller).
# Read by: training.
LOSS_LIP_DIST_EXP: NonNegative = 10.0

# Has no effect here: factors by emotion are for regression.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
LOSS_LIP_DIST_EMO_WEIGHTS: dict[Emotion, NonNegative] | None = None

# Weight of how far the marked vertices of the lips are from their true places: the mean distance itself, in
# centimetres, not its square, so that a few bad frames do not decide. Needs SKIN_LIP_DIST_VERTEX_LIST_FPATH. None: off.
# Change it when lips are to be precise, or data are few (docs/quality.md).
# Read by: training.
LOSS_LIP_POSITION_ALPHA: NonNegative | None = None

# --- How it works -----------------------------------------------------------------------------------------

# Steps between two lines of the log, counted from the start of each epoch.
# Change it when you want to look closer, or less often.
# Read by: training.
LOG_PERIOD: Count = 10

# After how many epochs the network is tried on the shots held out; it is always tried at the end.
# Change it when that takes a large part of the time (larger) or the best moment is missed (smaller).
# Read by: training.
VALIDATION_PERIOD_EPOCHS: Count = 10

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

# Has no effect here: diffusion uses no phonemes.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
PHONEME_DATA_CACHING: bool = True

# Has no effect here: only the frames of a batch are ever assembled, when they are needed.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_DATA_CACHING: bool = False

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
