"""Reads the base modules into tables: types and defaults of the parameters of each kind of user file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, get_type_hints

from audio2face.config_base import train_common
from audio2face.families import FAMILIES

SectionName = Literal["dataset", "preproc", "train", "inference"]
NetworkType = str  # a name in `FAMILIES`

SECTIONS: tuple[SectionName, ...] = ("dataset", "preproc", "train", "inference")
BY_NETWORK_TYPE: tuple[SectionName, ...] = ("train", "inference")

# Modules that declare parameters of several bases; a base lists those that it has (`RUN_NAME = common.RUN_NAME`).
_COMMON: dict[SectionName, tuple[ModuleType, ...]] = {"train": (train_common,)}


@dataclass(frozen=True)
class Base:
    """The parameters of one base module.

    Attributes:
        module: the module.
        types: the type of each parameter, with its marks.
        defaults: the default of each parameter, in terms of JSON.
    """

    module: ModuleType
    types: dict[str, Any]
    defaults: dict[str, Any]


def base_of(section: SectionName, network_type: NetworkType | None) -> Base:
    """Returns the base of a section; for training and inference, that of the network type."""
    if section not in BY_NETWORK_TYPE:
        return _read_base(section, f"audio2face.config_base.config_{section}_base")
    family = FAMILIES[str(network_type)]
    return _read_base(section, family.train_parameters if section == "train" else family.inference_parameters)


@cache
def _read_base(section: SectionName, name: str) -> Base:
    module = import_module(name)
    declarations = [*_COMMON.get(section, ()), module]
    declared = {name: hint for each in declarations for name, hint in get_type_hints(each, include_extras=True).items()}
    types = {name: declared[name] for name in vars(module) if name in declared}
    defaults = {name: json.loads(json.dumps(getattr(module, name))) for name in types}
    return Base(module, types, defaults)


def all_bases() -> list[tuple[SectionName, NetworkType | None, Base]]:
    """Returns the bases of all sections, for training and inference of every network type."""
    found: list[tuple[SectionName, NetworkType | None, Base]] = []
    for section in SECTIONS:
        kinds = tuple(FAMILIES) if section in BY_NETWORK_TYPE else (None,)
        found += [(section, kind, base_of(section, kind)) for kind in kinds]
    return found
