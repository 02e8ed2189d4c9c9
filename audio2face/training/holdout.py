"""Which shots are kept out of training, to tell how well it does on what it has not seen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
    """The ids of the shots to hold out: those named, or where none are a random fraction of each actor's.

    The choice depends on the names of the shots and the seed, not on the order or number of clips. The fraction is
    rounded to whole shots, but at least one of ten or more. Of every emotion, actor and language at least one shot
    stays in training, and as long as others can be held out, so does one of every emotion and language of each actor; a
    line of the log says where fewer shots are held out for that. Shots that are named are held out in any case, with a
    warning. Muted shots do not count, since there is no speech in them.

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
    coverage = _Coverage.of(clip for clip in clips if not clip.shot.is_muted)
    if any(named.values()):
        chosen = [
            find_shot(shots, actor, name, len(actor_names), f"VALIDATION_SHOTS[{actor!r}]").id
            for actor, names in named.items()
            for name in names
        ]
        _warn_of_lost(coverage, chosen)
        return tuple(chosen)
    chosen = []
    for index, actor in enumerate(actor_names):
        ids = sorted(name for name in coverage.groups if shots[name].actor == actor)
        count = round(fraction * len(ids))
        if fraction and len(ids) >= _ENOUGH_SHOTS:
            count = max(count, 1)
        order = [ids[place] for place in np.random.default_rng([seed, index]).permutation(len(ids))]
        chosen += sorted(_spare(coverage, order, count, actor))
    return tuple(chosen)


@dataclass(frozen=True)
class _Coverage:
    """Which groups of shots training covers, and by how many shots.

    Attributes:
        groups: of each shot, the emotion, actor and languages that it belongs to.
        own_groups: likewise, its emotion and languages within its actor.
        left: number of shots that are left in training, of each group.
    """

    groups: Mapping[str, frozenset[str]]
    own_groups: Mapping[str, frozenset[str]]
    left: Counter[str]

    @classmethod
    def of(cls, clips: Iterable[Clip]) -> _Coverage:
        """That of all shots that have clips, none of them held out."""
        kinds: dict[str, set[str]] = defaultdict(set)
        actors = {}
        for clip in clips:
            kinds[clip.shot.id] |= {f"emotion {clip.shot.emotion!r}", f"language {clip.language!r}"}
            actors[clip.shot.id] = f"actor {clip.shot.actor!r}"
        groups = {shot: frozenset({*own, actors[shot]}) for shot, own in kinds.items()}
        own_groups = {shot: frozenset(f"{kind} of {actors[shot]}" for kind in own) for shot, own in kinds.items()}
        left = Counter(group for shot in kinds for group in groups[shot] | own_groups[shot])
        return cls(groups, own_groups, left)

    def hold_out(self, shot: str) -> None:
        """Takes a shot out of training; one without clips is in none."""
        self.left.subtract(self.groups.get(shot, frozenset()) | self.own_groups.get(shot, frozenset()))

    def only(self, groups: Iterable[str]) -> list[str]:
        """Those groups of which a single shot is left."""
        return sorted(group for group in groups if self.left[group] == 1)


def _spare(coverage: _Coverage, order: Sequence[str], count: int, actor: str) -> list[str]:
    """The first shots in an order that training can spare, up to a count; says where there are fewer."""
    spared: list[str] = []
    for is_strict in (True, False):
        for shot in order:
            groups = coverage.groups[shot] | (coverage.own_groups[shot] if is_strict else frozenset())
            if len(spared) < count and shot not in spared and not coverage.only(groups):
                coverage.hold_out(shot)
                spared.append(shot)
    if len(spared) < count:
        kept = [shot for shot in order if shot not in spared]
        reasons = [f"{shot} (only one of {', '.join(coverage.only(coverage.groups[shot]))})" for shot in sorted(kept)]
        LOGGER.info(
            "Held out for validation of %s: %d of the %d shots that VALIDATION_FRACTION asks for; training needs %s",
            actor,
            len(spared),
            count,
            listed(reasons),
        )
    return spared


def _warn_of_lost(coverage: _Coverage, held_out: Sequence[str]) -> None:
    """Warns where shots that are named are the only ones of their kind."""
    for shot in dict.fromkeys(held_out):
        coverage.hold_out(shot)
    held = [shot for shot in dict.fromkeys(held_out) if shot in coverage.groups]
    lost = {group for shot in held for group in coverage.groups[shot] if not coverage.left[group]}
    own = {group for shot in held for group in coverage.own_groups[shot] if not coverage.left[group]}
    if lost or own:
        LOGGER.warning(
            "VALIDATION_SHOTS leaves no shot in training of %s: the network is judged by what it cannot have learned. "
            "Name others, or leave VALIDATION_SHOTS empty.",
            listed(sorted(lost or own)),
        )
