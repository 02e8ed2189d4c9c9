"""Rules that hold between parameters. Each yields section, parameter and message of what it finds wrong."""

from __future__ import annotations

from audio2face.config.complete import encoder_width, respaced_steps
from audio2face.config.draft import Draft, Found, Rule
from audio2face.config_base.tables import SectionName

CHANNELS_OF_NETWORK_TYPE = {
    "regression": ("skin_coeffs", "tongue_coeffs", "jaw", "eye"),
    "diffusion": ("skin_pose", "tongue_pose", "jaw", "eye"),
}
MIN_SEGMENT_SECONDS = 0.21  # the speech encoder masks spans of 10 of its steps, 50 of which make a second
IGNORED = {
    "diffusion": (
        *("LOSS_MOTION_ALPHA", "LOSS_LIP_DIST_EMO_WEIGHTS"),
        *("PHONEME_DATA_CACHING", "TARGET_DATA_CACHING", "TARGET_OBJECTS_TO_CUDA"),
    ),
    "regression": ("TARGET_FPS", "TARGET_DATA_CACHING", "TARGET_OBJECTS_TO_CUDA"),
}
TOGETHER = (
    ("TONGUE_CACHE_ROOT", "TONGUE_NEUTRAL_FPATH", "TONGUE_RIGID_VERTEX_LIST_FPATH"),
    ("BLENDSHAPE_SKIN_FPATH", "BLENDSHAPE_SKIN_CONFIG_FPATH"),
    ("BLENDSHAPE_TONGUE_FPATH", "BLENDSHAPE_TONGUE_CONFIG_FPATH"),
)


def repeated_names(draft: Draft) -> Found:
    for name in ("ACTOR_NAMES", "SHOT_EMOTION_NAMES"):
        values = draft.value("dataset", name)
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            yield "dataset", name, f"{name}: {', '.join(map(repr, twice))} occurs more than once"


def number_of_actors(draft: Draft) -> Found:
    names = draft.value("dataset", "ACTOR_NAMES")
    if draft.stage in ("train", "inference") and not names:
        yield "dataset", "ACTOR_NAMES", "ACTOR_NAMES: is empty; name the actors to train"
    if draft.stage == "train" and draft.network_type == "regression" and len(names) > 1:
        said = f"ACTOR_NAMES: a regression network takes one actor, found {len(names)}; train one, or use diffusion"
        yield "dataset", "ACTOR_NAMES", said


def channels_of_network(draft: Draft) -> Found:
    channels = draft.value("train", "TARGET_CHANNELS")
    wanted = CHANNELS_OF_NETWORK_TYPE.get(draft.network_type or "")
    if tuple(channels) != wanted:
        said = f"TARGET_CHANNELS: a {draft.network_type} network needs {list(wanted or ())}, in this order"
        yield "train", "TARGET_CHANNELS", said


def clips_run_forward(draft: Draft) -> Found:
    for index, (_, shot, (first, last), *_rest) in enumerate(draft.value("train", "CLIPS")):
        if last < first:
            yield "train", "CLIPS", f"CLIPS[{index}]: {shot} ends at frame {last}, before it begins at {first}"


def noise_range_rises(draft: Draft) -> Found:
    name = "AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE"
    limits = draft.value("train", name)
    if limits and limits[0] > limits[1]:
        yield "train", name, f"{name}: the first limit, {limits[0]:g}, is above the second, {limits[1]:g}"


def lip_size_has_vertices(draft: Draft) -> Found:
    if draft.stage == "train" and draft.value("train", "LOSS_LIP_SIZE_ALPHA"):
        lists = draft.value("dataset", "SKIN_LIP_SIZE_VERTEX_LIST_FPATH")
        for actor in draft.value("dataset", "ACTOR_NAMES"):
            if actor not in lists:
                said = f"LOSS_LIP_SIZE_ALPHA: needs SKIN_LIP_SIZE_VERTEX_LIST_FPATH, which actor {actor!r} lacks"
                yield "train", "LOSS_LIP_SIZE_ALPHA", said


def something_is_learnt(draft: Draft) -> Found:
    alone = ("LOSS_MSE_ALPHA", *(f"LOSS_{name}_ALPHA" for name in ("MOTION", "LIP_POSITION", "LIP_DIST", "LIP_SIZE")))
    if draft.network_type == "regression" and all(draft.value("train", name) is None for name in alone):
        said = f"LOSS_MSE_ALPHA: with {', '.join(alone[1:])} it is None as well, so that no face is learnt"
        yield "train", "LOSS_MSE_ALPHA", said


def frame_rate_of_diffusion(draft: Draft) -> Found:
    streaming = draft.value("train", "STREAMING_CFG")  # diffusion has it, regression does not
    fps = draft.value("train", "TARGET_FPS")
    width = encoder_width(fps)
    if width is None:
        said = f"TARGET_FPS: a diffusion network runs at 60 or 30 frames per second, not {fps:g}"
        yield "train", "TARGET_FPS", f"{said}; recorded and finished animation may have other rates (CACHE_FPS, --fps)"
        return
    found = draft.value("train", "NETWORK_HYPER_PARAMS")["hubert_feature_dim"]
    if found != width:
        said = f"NETWORK_HYPER_PARAMS['hubert_feature_dim']: must be {width} at TARGET_FPS {fps:g}, found {found}"
        yield "train", "NETWORK_HYPER_PARAMS", f"{said}; leave it out"
    window, buffer = streaming[str(int(fps))]["window_size"], draft.value("train", "AUDIO_PARAMS")["buffer_len"]
    if window != buffer:
        said = f"AUDIO_PARAMS['buffer_len']: {buffer} differs from the window_size {window} of STREAMING_CFG"
        yield "train", "AUDIO_PARAMS", said


def segment_lengths(draft: Draft) -> Found:
    shortest, longest = draft.value("train", "SUBSEGMENT_MIN_FRAME"), draft.value("train", "SUBSEGMENT_MAX_FRAME")
    if shortest > longest:
        said = f"SUBSEGMENT_MIN_FRAME: {shortest} is above SUBSEGMENT_MAX_FRAME, {longest}"
        yield "train", "SUBSEGMENT_MIN_FRAME", said
    needed = MIN_SEGMENT_SECONDS * draft.value("train", "TARGET_FPS")
    if shortest < needed:
        said = (
            f"SUBSEGMENT_MIN_FRAME: at least {needed:g} frames ({MIN_SEGMENT_SECONDS} s) are needed, found {shortest}"
        )
        yield "train", "SUBSEGMENT_MIN_FRAME", said


def pitch_range_rises(draft: Draft) -> Found:
    shift = draft.value("train", "AUGMENT").get("pitch_shift")
    if shift and shift["min_semitones"] > shift["max_semitones"]:
        yield "train", "AUGMENT", "AUGMENT['pitch_shift']: min_semitones is above max_semitones"


def diffusion_steps(draft: Draft) -> Found:
    told, respacing = (draft.value("inference", name) for name in ("NUM_DIFFUSION_STEPS", "TIMESTEP_RESPACING"))
    if "train" not in draft.sections:
        return
    every = draft.value("train", "DIFFUSION_STEPS")
    texts: dict[SectionName, str] = {"train": draft.value("train", "TIMESTEP_RESPACING"), "inference": respacing}
    for section, text in texts.items():
        count = respaced_steps(text, every)
        if count is not None and count > every:
            said = f"TIMESTEP_RESPACING: {text!r} asks for {count} of DIFFUSION_STEPS = {every} steps"
            yield section, "TIMESTEP_RESPACING", said
    count = respaced_steps(respacing, every)
    if count is not None and told != count:
        said = f"NUM_DIFFUSION_STEPS: {told}, but TIMESTEP_RESPACING {respacing!r} gives {count} steps; leave it out"
        yield "inference", "NUM_DIFFUSION_STEPS", said


RULES: tuple[Rule, ...] = (
    repeated_names,
    number_of_actors,
    channels_of_network,
    clips_run_forward,
    noise_range_rises,
    lip_size_has_vertices,
    something_is_learnt,
    frame_rate_of_diffusion,
    segment_lengths,
    pitch_range_rises,
    diffusion_steps,
)


def note_what_may_be_meant(draft: Draft) -> None:
    """Warns of parameters without effect and of data that need each other."""
    for name in IGNORED.get(draft.network_type or "", ()):
        if "train" in draft.sections and name in draft.sections["train"].written:
            draft.warn("train", name, f"{name}: has no effect on a {draft.network_type} network")
    if "dataset" not in draft.sections:
        return
    values = draft.sections["dataset"].values
    for names in TOGETHER:
        given = {name: set(values[name]) for name in names if name in values}
        for actor in sorted(set().union(*given.values())):
            missing = [name for name, actors in given.items() if actor not in actors]
            if missing:
                had = next(name for name, actors in given.items() if actor in actors)
                draft.warn("dataset", had, f"{had}[{actor!r}]: not used without {' and '.join(missing)}")
