"""Which shots are kept out of training, to tell how well it does on what it has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.training.clips import Clip, Shot, find_shot, listed

_ENOUGH_SHOTS = 10  # an actor with so many can spare one, however small the fraction


def split_clips(clips: Sequence[Clip], held_out: Iterable[str]) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Divides clips into those to learn from and those of held-out shots; held poses are always learnt from.

    Args:
        clips: all clips.
        held_out: ids of shots.

    Raises:
        UserError: nothing is left to learn from.
    """
    ids = set(held_out)
    training = tuple(clip for clip in clips if clip.shot.id not in ids)
    validation = tuple(clip for clip in clips if clip.shot.id in ids)
    if not any(clip.audio for clip in training):
        raise UserError(
            "no clip is left to learn from", hint="Hold out fewer shots: VALIDATION_SHOTS, VALIDATION_FRACTION."
        )
    if ids:
        LOGGER.info("Held out for validation: %s", listed(sorted(ids)))
    return training, validation


def choose_shots(
    clips: Iterable[Clip],
    shots: Mapping[str, Shot],
    named: Mapping[str, Sequence[str]],
    fraction: float,
    seed: int,
    actor_names: Sequence[str],
) -> tuple[str, ...]:
    """The ids of the shots to hold out: those named, or where none are a fraction of each actor's, by chance.

    The choice depends on the names of the shots and the seed, not on the order or number of clips. The fraction is
    rounded to whole shots, but at least one of ten or more.

    Args:
        clips: all clips.
        shots: all shots by id.
        named: VALIDATION_SHOTS.
        fraction: VALIDATION_FRACTION.
        seed: RNG_SEED_DATASET.
        actor_names: the actors in the order of the network.

    Raises:
        UserError: a shot that is named does not exist.
    """
    if any(named.values()):
        return tuple(
            find_shot(shots, actor, name, len(actor_names), f"VALIDATION_SHOTS[{actor!r}]").id
            for actor, names in named.items()
            for name in names
        )
    chosen: list[str] = []
    used = {clip.shot.id: clip.shot.actor for clip in clips if not clip.shot.is_muted}
    for index, actor in enumerate(actor_names):
        ids = sorted(name for name, owner in used.items() if owner == actor)
        count = round(fraction * len(ids))
        if fraction and len(ids) >= _ENOUGH_SHOTS:
            count = max(count, 1)
        order = np.random.default_rng([seed, index]).permutation(len(ids))
        chosen += [ids[place] for place in sorted(order[:count])]
    return tuple(chosen)
