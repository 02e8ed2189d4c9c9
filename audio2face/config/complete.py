"""What is left out and follows from other values."""

from __future__ import annotations

from typing import Any

from audio2face.config.draft import Draft, Section
from audio2face.config.values import Values

ENCODER_WIDTH_AT_60_FPS = 768  # one step of the speech encoder per frame; two steps at 30 fps
BODY_PARTS = ("skin", "tongue", "jaw", "eye")
NO_AUGMENT = {"timeshift": 0.0, "pitch_shift": None}


def complete(draft: Draft, section: Section, merged: Values) -> None:
    """Fills in the merged values of a section; what does not have the expected type is left for the type check."""
    if section.name == "dataset":
        _complete_scales(merged)
    if section.name == "train":
        _complete_training(section, merged)
    if section.name == "inference" and "NUM_DIFFUSION_STEPS" in merged:
        steps = draft.sections["train"].values.get("DIFFUSION_STEPS") if "train" in draft.sections else None
        _complete_steps(section, merged, steps)


def _complete_scales(merged: Values) -> None:
    """Gives the parts that an actor's scales leave out the scale 1."""
    scales, ones = merged["TRANSFORM_SCALE"], dict.fromkeys(BODY_PARTS, 1.0)
    if isinstance(scales, dict):
        merged["TRANSFORM_SCALE"] = {
            actor: ones | scale if isinstance(scale, dict) else scale for actor, scale in scales.items()
        }


def _complete_training(section: Section, merged: Values) -> None:
    """Reads AUGMENT = None as no augmentation, and derives the width of speech features from the frame rate."""
    if merged["AUGMENT"] is None:
        merged["AUGMENT"] = {key: NO_AUGMENT[key] for key in section.base.defaults["AUGMENT"]}
    network, written = merged["NETWORK_HYPER_PARAMS"], section.written.get("NETWORK_HYPER_PARAMS", {})
    tables = isinstance(network, dict) and isinstance(written, dict)
    if tables and "hubert_feature_dim" in network.keys() - written.keys():
        network["hubert_feature_dim"] = encoder_width(merged["TARGET_FPS"]) or ENCODER_WIDTH_AT_60_FPS


def _complete_steps(section: Section, merged: Values, all_steps: int | None) -> None:
    """Makes respacing and number of steps agree where only one of them is given."""
    respacing = merged["TIMESTEP_RESPACING"]
    if respacing is None:
        merged["TIMESTEP_RESPACING"] = str(merged["NUM_DIFFUSION_STEPS"])
    elif "NUM_DIFFUSION_STEPS" not in section.written:
        count = respaced_steps(respacing, all_steps)
        if count is not None:
            merged["NUM_DIFFUSION_STEPS"] = count


def encoder_width(fps: Any) -> int | None:
    """Width of the speech features of one frame of the diffusion network; None for a rate that it does not have."""
    widths = {60.0: ENCODER_WIDTH_AT_60_FPS, 30.0: 2 * ENCODER_WIDTH_AT_60_FPS}
    return widths.get(fps) if isinstance(fps, int | float) else None


def respaced_steps(respacing: Any, all_steps: int | None) -> int | None:
    """How many noise levels a respacing leaves; None when that cannot be told."""
    if respacing == "":
        return all_steps
    if not isinstance(respacing, str):
        return None
    counts = respacing.removeprefix("ddim").split(",")
    return sum(map(int, counts)) if all(count.isdecimal() and count.isascii() for count in counts) else None
