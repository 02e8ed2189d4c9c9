"""Rules between parameters, and checks that referenced actors, emotions, files and runs exist.

A rule yields section, parameter and message of each problem.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from audio2face.config.draft import Draft, Found, Rule, Section, Unavailable, encoder_width, respaced_steps
from audio2face.config.values import nearest, walk
from audio2face.config_base.tables import SectionName
from audio2face.config_base.types import STREAMING_RATES, TRACKER_PACKAGES, MemberOf, PathRule, Stage
from audio2face.errors import UserError
from audio2face.families import FAMILIES
from audio2face.placeholders import find_placeholder

MOST_PSEUDO_LABELLED = 0.9  # of the items of an epoch
MIN_SEGMENT_SECONDS = 0.21  # the speech encoder masks spans of 10 of its steps, 50 of which make a second
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
    family = FAMILIES.get(draft.network_type or "")
    if draft.stage == "train" and family is not None and not family.multi_actor and len(names) > 1:
        others = " or ".join(name for name, other in FAMILIES.items() if other.multi_actor)
        message = (
            f"ACTOR_NAMES: a {family.name} network takes one actor, found {len(names)}; train one, or use {others}"
        )
        yield "dataset", "ACTOR_NAMES", message


def channels_of_network(draft: Draft) -> Found:
    channels = draft.value("train", "TARGET_CHANNELS")
    wanted = draft.sections["train"].base.defaults["TARGET_CHANNELS"]
    if list(channels) != wanted:
        message = f"TARGET_CHANNELS: a {draft.network_type} network needs {wanted}, in this order"
        yield "train", "TARGET_CHANNELS", message


def clips_run_forward(draft: Draft) -> Found:
    for index, (_, shot, (first, last), *_rest) in enumerate(draft.value("train", "CLIPS")):
        if last < first:
            yield "train", "CLIPS", f"CLIPS[{index}]: {shot} ends at frame {last}, before its start at {first}"


def test_shots_stay_apart(draft: Draft) -> Found:
    """Finds named test shots that training is told to use."""
    clips = draft.value("train", "CLIPS")
    for actor, shots in draft.value("dataset", "TEST_SHOTS").items():
        used = {shot for name, shot, *_ in clips if name == actor}
        chosen = draft.value("train", "VALIDATION_SHOTS").get(actor, ())
        for parameter, names in (("VALIDATION_SHOTS", set(chosen)), ("CLIPS", used)):
            both = [shot for shot in dict.fromkeys(shots) if shot in names]
            if both:
                more = f" (and {len(both) - 1} more)" if len(both) > 1 else ""
                message = f"TEST_SHOTS[{actor!r}]: {both[0]!r}{more} is in {parameter} of config_train.py as well"
                yield "dataset", "TEST_SHOTS", f"{message}; a test shot may be in neither training nor validation"


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
                message = f"LOSS_LIP_SIZE_ALPHA: needs SKIN_LIP_SIZE_VERTEX_LIST_FPATH, which actor {actor!r} lacks"
                yield "train", "LOSS_LIP_SIZE_ALPHA", message


def some_loss_trains_the_face(draft: Draft) -> Found:
    alone = ("LOSS_MSE_ALPHA", *(f"LOSS_{name}_ALPHA" for name in ("MOTION", "LIP_POSITION", "LIP_DIST", "LIP_SIZE")))
    if all(draft.value("train", name) is None for name in alone):
        message = f"LOSS_MSE_ALPHA: with {', '.join(alone[1:])} it is None as well, so that no loss trains the face"
        yield "train", "LOSS_MSE_ALPHA", message


def basis_without_components(draft: Draft) -> Found:
    """Finds a number of PCA components where blend shapes are the basis."""
    if draft.value("preproc", "SKIN_BASIS") == "blendshapes" and draft.value("preproc", "SKIN_FORCE_COMPONENTS"):
        message = 'SKIN_FORCE_COMPONENTS: has no effect with SKIN_BASIS = "blendshapes", which takes every shape'
        yield "preproc", "SKIN_FORCE_COMPONENTS", f"{message}; leave it out"


def shares_of_pseudo_labels(draft: Draft) -> Found:
    if draft.value("train", "TEACHER_RUN") is None:
        return
    share, synthetic = (draft.value("train", name) for name in ("DISTILLATION_SHARE", "SYNTHETIC_SHARE"))
    if share + synthetic > MOST_PSEUDO_LABELLED:
        message = f"DISTILLATION_SHARE: {share:g} and SYNTHETIC_SHARE = {synthetic:g} leave less than a tenth"
        yield "train", "DISTILLATION_SHARE", f"{message} for recorded motion; make one of them smaller"


def frame_rate_of_diffusion(draft: Draft) -> Found:
    streaming = draft.value("train", "STREAMING_CFG")  # diffusion has it, regression does not
    fps = draft.value("train", "TARGET_FPS")
    width = encoder_width(fps)
    if width is None:
        message = f"TARGET_FPS: a diffusion network runs at 60 or 30 frames per second, not {fps:g}"
        yield (
            "train",
            "TARGET_FPS",
            f"{message}; recorded and finished animation may have other rates (CACHE_FPS, --fps)",
        )
        return
    found = draft.value("train", "NETWORK_HYPER_PARAMS")["hubert_feature_dim"]
    if found != width:
        message = f"NETWORK_HYPER_PARAMS['hubert_feature_dim']: must be {width} at TARGET_FPS {fps:g}, found {found}"
        yield "train", "NETWORK_HYPER_PARAMS", f"{message}; leave it out"
    window, buffer = streaming[str(int(fps))]["window_size"], draft.value("train", "AUDIO_PARAMS")["buffer_len"]
    if window != buffer:
        message = f"AUDIO_PARAMS['buffer_len']: {buffer} differs from the window_size {window} of STREAMING_CFG"
        yield "train", "AUDIO_PARAMS", message


def frame_rate_of_streaming(draft: Draft) -> Found:
    draft.value("train", "LOOK_AHEAD_FRAMES")  # only streaming has it
    fps = draft.value("train", "TARGET_FPS")
    if fps not in STREAMING_RATES:
        rates = ", ".join(f"{rate:g}" for rate in STREAMING_RATES)
        message = f"TARGET_FPS: a streaming network runs at {rates} frames per second, not {fps:g}"
        yield "train", "TARGET_FPS", f"{message}; finished animation may have other rates (--fps)"


def segment_lengths(draft: Draft) -> Found:
    shortest, longest = draft.value("train", "SUBSEGMENT_MIN_FRAME"), draft.value("train", "SUBSEGMENT_MAX_FRAME")
    if shortest > longest:
        message = f"SUBSEGMENT_MIN_FRAME: {shortest} is above SUBSEGMENT_MAX_FRAME, {longest}"
        yield "train", "SUBSEGMENT_MIN_FRAME", message
    needed = MIN_SEGMENT_SECONDS * draft.value("train", "TARGET_FPS")
    if shortest < needed:
        message = (
            f"SUBSEGMENT_MIN_FRAME: at least {needed:g} frames ({MIN_SEGMENT_SECONDS} s) are needed, found {shortest}"
        )
        yield "train", "SUBSEGMENT_MIN_FRAME", message


def pitch_range_rises(draft: Draft) -> Found:
    shift = draft.value("train", "AUGMENT").get("pitch_shift")
    if shift and shift["min_semitones"] > shift["max_semitones"]:
        yield "train", "AUGMENT", "AUGMENT['pitch_shift']: min_semitones is above max_semitones"


def diffusion_steps(draft: Draft) -> Found:
    configured, respacing = (draft.value("inference", name) for name in ("NUM_DIFFUSION_STEPS", "TIMESTEP_RESPACING"))
    if "train" not in draft.sections:
        return
    every = draft.value("train", "DIFFUSION_STEPS")
    texts: dict[SectionName, str] = {"train": draft.value("train", "TIMESTEP_RESPACING"), "inference": respacing}
    for section, text in texts.items():
        count = respaced_steps(text, every)
        if count is not None and count > every:
            message = f"TIMESTEP_RESPACING: {text!r} has {count} of DIFFUSION_STEPS = {every} steps"
            yield section, "TIMESTEP_RESPACING", message
    count = respaced_steps(respacing, every)
    if count is not None and configured != count:
        message = (
            f"NUM_DIFFUSION_STEPS: {configured}, but TIMESTEP_RESPACING {respacing!r} gives {count} steps; leave it out"
        )
        yield "inference", "NUM_DIFFUSION_STEPS", message


def tracker_packages(draft: Draft) -> Found:
    if draft.stage not in ("check", "train"):
        return
    for tracker in dict.fromkeys(draft.value("train", "TRACKERS")):
        module, packages = TRACKER_PACKAGES.get(tracker, ("", ""))
        if module and find_spec(module) is None:
            message = f"TRACKERS: {tracker!r} needs the package {module}; install it: pip install {packages}"
            yield "train", "TRACKERS", message


RULES: tuple[Rule, ...] = (
    repeated_names,
    number_of_actors,
    channels_of_network,
    clips_run_forward,
    test_shots_stay_apart,
    noise_range_rises,
    lip_size_has_vertices,
    some_loss_trains_the_face,
    basis_without_components,
    shares_of_pseudo_labels,
    frame_rate_of_diffusion,
    frame_rate_of_streaming,
    segment_lengths,
    pitch_range_rises,
    diffusion_steps,
    tracker_packages,
)


def note_what_may_be_meant(draft: Draft) -> None:
    """Warns about parameters without effect and about incomplete groups of data."""
    family = FAMILIES.get(draft.network_type or "")
    for name in () if family is None else family.unused_parameters:
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


REQUIRED_PER_ACTOR: dict[str, tuple[Stage, ...]] = {
    "AUDIO_ROOT": ("check", "preproc", "train"),
    "SKIN_CACHE_ROOT": ("check", "preproc"),
    "CACHE_FPS": ("check", "preproc", "train"),
}
MAX_LISTED = 10  # missing clips, beyond which only their number is reported


def concerned_actors(draft: Draft) -> tuple[str, ...]:
    """Returns the actors that a stage works on: those requested, else all that training uses, else all with data."""
    with suppress(Unavailable):
        names = draft.value("dataset", "ACTOR_NAMES") or list(draft.value("dataset", "SKIN_CACHE_ROOT"))
        return draft.actors or tuple(names)
    return draft.actors


def asked_actors(draft: Draft) -> None:
    """Reports requested actors that the dataset lacks, and continues without them."""
    with suppress(Unavailable):
        known = draft.value("dataset", "ACTOR_NAMES") or list(draft.value("dataset", "SKIN_CACHE_ROOT"))
        for actor in sorted(set(draft.actors).difference(known)):
            draft.report("dataset", "ACTOR_NAMES", f"there is no actor {actor!r}{instead(actor, known)}")
        draft.actors = tuple(actor for actor in draft.actors if actor in known)


def instead(name: str, known: list[str]) -> str:
    """Suggests known names instead of an unknown one."""
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else f"; there are {', '.join(map(repr, known))}"


def members(draft: Draft) -> None:
    """Reports names of actors and emotions, anywhere, that the dataset does not list."""
    for section in draft.sections.values():
        for name, value in section.values.items():
            for parameter, strangers in _strangers(draft, section, name, value).items():
                if draft.stage == "check" and parameter == "SHOT_EMOTION_NAMES" and section.name == "dataset":
                    continue  # the dataset check reports it with all other problems of the data
                known = draft.value("dataset", parameter)
                for text, places in strangers.items():
                    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
                    message = f"{places[0]}{more}: {text!r} is not in {parameter}{instead(text, known)}"
                    draft.report(section.name, name, message)


def _strangers(draft: Draft, section: Section, name: str, value: Any) -> dict[Any, dict[str, list[str]]]:
    """Returns, for each list of names, the names in a value that are missing from it, with their locations."""
    found: dict[Any, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def look(mark: Any, text: Any, where: str) -> Any:
        if isinstance(mark, MemberOf):
            with suppress(Unavailable):
                known = draft.value("dataset", mark.parameter)
                if known and text not in known:
                    found[mark.parameter][text].append(where)
        return text

    walk(section.base.types[name], value, name, look)
    return found


def required_entries(draft: Draft) -> Found:
    """Finds actors without an entry that the stage requires."""
    for name, stages in REQUIRED_PER_ACTOR.items():
        if draft.stage in stages:
            for actor in concerned_actors(draft):
                if actor not in draft.value("dataset", name):
                    yield "dataset", name, f"{name}: has no entry for actor {actor!r}"


def files(draft: Draft) -> None:
    """Reports missing files and folders that the stage reads, for the actors concerned."""
    actors = concerned_actors(draft)
    for section in draft.sections.values():
        for name, value in section.values.items():
            kind = section.base.types[name]
            if _is_per_actor(kind):
                value = {actor: item for actor, item in value.items() if actor in actors}
            for text in _missing(draft, kind, value, name):
                draft.report(section.name, name, text)


def _is_per_actor(kind: Any) -> bool:
    key = get_args(kind)[0] if get_origin(kind) is dict else None
    return get_origin(key) is Annotated and MemberOf("ACTOR_NAMES") in get_args(key)


def _missing(draft: Draft, kind: Any, value: Any, name: str) -> list[str]:
    missing: list[str] = []

    def look(mark: Any, text: Any, where: str) -> Any:
        if isinstance(mark, PathRule) and isinstance(text, str) and draft.stage in mark.read_at:
            with suppress(UserError):  # a path that cannot be resolved has been reported
                path = draft.roots.resolve(text, mark.root)
                if not (is_folder(path) if mark.kind == "folder" else _is_file(path)):
                    elsewhere = find_placeholder(path)
                    what = f"there is no {mark.suffix} {mark.kind} {path}".replace("  ", " ")
                    missing.append(f"{where}: {what}" + (f": it {elsewhere.problem}" if elsewhere else ""))
        return text

    walk(kind, value, name, look)
    return missing


def _is_file(path: Path) -> bool:
    with suppress(OSError):  # a name too long, a folder that may not be entered
        return path.is_file()
    return False


def is_folder(path: Path) -> bool:
    with suppress(OSError):
        return path.is_dir()
    return False


def clip_audio(draft: Draft) -> Found:
    """Finds clips whose recording does not exist."""
    if draft.stage != "train":
        return
    folders = {
        actor: draft.roots.resolve(folder, "datasets") for actor, folder in draft.value("dataset", "AUDIO_ROOT").items()
    }
    missing = []
    for index, (actor, _shot, _frames, _speaker, _language, file, _offset) in enumerate(draft.value("train", "CLIPS")):
        folder = folders.get(actor)
        if folder is not None and is_folder(folder) and not _is_file(folder / file):
            missing.append(f"CLIPS[{index}][5]: there is no recording {folder / file}")
    if len(missing) > MAX_LISTED:
        missing[MAX_LISTED:] = [f"CLIPS: {len(missing) - MAX_LISTED} more recordings do not exist"]
    for text in missing:
        yield "train", "CLIPS", text
