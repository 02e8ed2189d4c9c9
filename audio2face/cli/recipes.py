"""Settings of training that suit the minutes of data, as text of a `config_train.py`.

Those for few recordings are the ones that docs/quality.md ("Settings for few recordings") measured on half a minute to
eight minutes. With more data the defaults of the network apply.
"""

from __future__ import annotations

from collections.abc import Callable

from audio2face.config_base.tables import NetworkType

FEW_MINUTES = 10.0  # up to which data are few: docs/preparing_data.md, "How much to record"
_EVERY_EIGHTH = 0.125  # shots held out in the measurements
_LEAST_SHOTS = 3  # of which one can be held out

_SOURCE = "# Settings for few recordings: docs/quality.md says how they were chosen and what they reach."

_FEW_DIFFUSION = f"""\
SPEECH_ENCODER = "hama"  # included; "hubert-base" is larger and downloaded
SPEECH_ENCODER_LAYERS = [2]

{_SOURCE}
SPEECH_FEATURE_NOISE = 0.7
TARGET_FPS = 30.0
TIMESTEP_RESPACING = "2"  # trains only the two noise levels of inference
SUBSEGMENT_MIN_FRAME = 60
SUBSEGMENT_MAX_FRAME = 60
BATCH_SIZE = 8
GRADIENT_ACCUMULATION_STEPS = 1
LEARNING_RATE = 3e-3
GRADIENT_CLIP_NORM = 1.0
NUM_EPOCHS = 75
EMA_DECAY = 0.99
NETWORK_HYPER_PARAMS = {{"feature_dim": 64, "gru_feature_dim": 64}}
LOSS_LIP_POSITION_ALPHA = 0.1
LOSS_LIP_DIST_ALPHA = None
AUGMENT = {{"timeshift": 0.0, "pitch_shift": None}}
VALIDATION_PERIOD_EPOCHS = 10
EXPORTED_WEIGHTS = "best"  # with little data the best step is well before the last
"""

_FEW_REGRESSION = f"""\
SPEECH_ENCODER = "hama"  # included; "wav2vec2-base" is larger and downloaded
SPEECH_ENCODER_LAYERS = [2]

{_SOURCE}
SPEECH_FEATURE_NOISE = 1.0
SPEECH_FEATURE_SHIFTS = 1
AUGMENT = {{"timeshift": 0.0}}
AUDIO_PARAMS = {{"buffer_len": 16640, "buffer_ofs": 8320, "samplerate": 16000}}
NETWORK_HYPER_PARAMS = {{
    "use_autocorr_features": False,
    "implicit_emotion_len": 1,
    "autocorr_params": {{"num_windows": 51}},
}}
EMO_INIT_SIGMA = 0.001
EMO_LR_MULT = 0.0
PHONEME_FORCING_LANGS = []
LEARNING_RATE = 1e-3
NUM_EPOCHS = <epochs>  # for <minutes> minutes
LR_STEP_GAMMA = <gamma>  # decays to 16 % at the end
VALIDATION_PERIOD_EPOCHS = 1
LOSS_MSE_ALPHA = 0.3
LOSS_MOTION_ALPHA = 1.5
LOSS_LIP_POSITION_ALPHA = 60.0
LOSS_LIP_DIST_ALPHA = 20.0
LOSS_LIP_DIST_EXP = 0.0
LOSS_EMO_REG_ALPHA = None
LOSS_VOL_STAB_REG_ALPHA = None
EXPORTED_WEIGHTS = "best"
"""

_STREAMING = f"""\
{_SOURCE}
SPEECH_FEATURE_NOISE = 1.0
TARGET_FPS = 30.0
LOOK_AHEAD_FRAMES = 2  # 66 ms
AUGMENT = {{"timeshift": 0.0, "pitch_shift": None}}
LOSS_LIP_POSITION_ALPHA = 10.0
GRADIENT_CLIP_NORM = 1.0
EMA_DECAY = 0.99
NUM_EPOCHS = <epochs>  # for <minutes> minutes
VALIDATION_PERIOD_EPOCHS = 10
EXPORTED_WEIGHTS = "best"
"""

_MANY = """\
# The network's defaults, with its speech encoder <encoder>, whose weights are downloaded once. "hama" is included.
SPEECH_ENCODER = "<encoder>"
"""
_ENCODERS: dict[NetworkType, str] = {
    "diffusion": "hubert-base",
    "regression": "wav2vec2-base",
}


def _few_diffusion(minutes: float) -> str:
    return _FEW_DIFFUSION


def _few_regression(minutes: float) -> str:
    """The number of epochs falls with the minutes, so that any amount of data takes about the same number of steps."""
    epochs = max(2, round(4 / max(minutes, 0.5)))
    values = {"epochs": str(epochs), "gamma": str(round(0.16 ** (1 / epochs), 4)), "minutes": f"{minutes:.1f}"}
    return _filled(_FEW_REGRESSION, values)


def _streaming(minutes: float) -> str:
    """The number of epochs falls with the minutes above ten; its encoder is included, and suits any amount."""
    epochs = max(20, round(100 * FEW_MINUTES / max(minutes, FEW_MINUTES)))
    return _filled(_STREAMING, {"epochs": str(epochs), "minutes": f"{minutes:.1f}"})


_FEW: dict[NetworkType, Callable[[float], str]] = {
    "diffusion": _few_diffusion,
    "regression": _few_regression,
    "streaming": _streaming,
}


def training_settings(network: NetworkType, minutes: float, num_shots: int) -> str:
    """What a `config_train.py` holds beside names.

    Args:
        network: the kind of network.
        minutes: of data.
        num_shots: of the actor.
    """
    is_few = minutes <= FEW_MINUTES
    one_recipe = is_few or network not in _ENCODERS
    settings = _FEW[network](minutes) if one_recipe else _filled(_MANY, {"encoder": _ENCODERS[network]})
    return f"{settings}{_held_out(num_shots) if is_few else ''}"


def _held_out(num_shots: int) -> str:
    if num_shots < _LEAST_SHOTS:
        return f"VALIDATION_FRACTION = 0.0  # {num_shots} shots: none can be spared\n"
    fraction = _EVERY_EIGHTH if num_shots * _EVERY_EIGHTH > 1 else round(1 / num_shots, 3)
    said = "every eighth shot" if fraction == _EVERY_EIGHTH else "one shot"
    return f"VALIDATION_FRACTION = {fraction}  # {said} is held out, and selects the weights\n"


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"<{name}>", value)
    return text
