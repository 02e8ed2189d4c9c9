"""Reads the base modules into tables: types and defaults of the parameters of each kind of user file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, get_type_hints

from audio2face.config_base import train_common

SectionName = Literal["dataset", "preproc", "train", "inference"]
NetworkType = Literal["regression", "diffusion"]

SECTIONS: tuple[SectionName, ...] = ("dataset", "preproc", "train", "inference")
NETWORK_TYPES: tuple[NetworkType, ...] = ("regression", "diffusion")
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


@cache
def base_of(section: SectionName, network_type: NetworkType | None) -> Base:
    """Returns the base of a section; for training and inference, that of the network type."""
    middle = f"{section}_{network_type}" if section in BY_NETWORK_TYPE else section
    module = import_module(f"audio2face.config_base.config_{middle}_base")
    declarations = [*_COMMON.get(section, ()), module]
    declared = {name: hint for each in declarations for name, hint in get_type_hints(each, include_extras=True).items()}
    types = {name: declared[name] for name in vars(module) if name in declared}
    defaults = {name: json.loads(json.dumps(getattr(module, name))) for name in types}
    return Base(module, types, defaults)


def all_bases() -> list[tuple[SectionName, NetworkType | None, Base]]:
    """Returns all six bases with their section and network type."""
    found: list[tuple[SectionName, NetworkType | None, Base]] = []
    for section in SECTIONS:
        kinds = NETWORK_TYPES if section in BY_NETWORK_TYPE else (None,)
        found += [(section, kind, base_of(section, kind)) for kind in kinds]
    return found
