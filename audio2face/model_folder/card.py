"""The header of a deployed folder's README that model hubs read: licence, tags and validation metrics, as YAML.

The format is the metadata of Hugging Face's model cards (https://huggingface.co/docs/hub/model-cards).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from audio2face.errors import UserError

_FENCE = "---\n"
_HEADER = re.compile(r"\A---\r?\n(?P<body>.*?)^---\r?$", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^(?P<name>license|license_name):[ \t]*(?P<value>[^\s#]+)", re.MULTILINE)
_UNSTATED = {"unknown", "other"}
# Identifiers that hubs know (https://huggingface.co/docs/hub/repositories-licenses); any other licence is "other" with
# a name of its own.
# fmt: off
HUB_LICENCES = frozenset((
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bigscience-openrail-m", "bsd", "bsd-2-clause",
    "bsd-3-clause", "bsd-3-clause-clear", "bsl-1.0", "c-uda", "cc", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
    "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "ecl-2.0", "epl-1.0",
    "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "isc", "lgpl",
    "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "ms-pl", "ncsa", "odbl", "odc-by", "ofl-1.1", "openrail",
    "openrail++", "osl-3.0", "pddl", "postgresql", "unlicense", "wtfpl", "zlib",
))
# fmt: on


def card_header(
    *, name: str, network_type: str, actors: Sequence[str], licence: str | None, metrics: Mapping[str, float]
) -> str:
    """Composes the header, with the lines that delimit it.

    Args:
        name: the model's name.
        network_type: NETWORK_TYPE.
        actors: whose faces it animates.
        licence: an identifier or a name; None: not stated.
        metrics: validation metrics by name; empty without a validation set.
    """
    tags = ("audio2face", "audio2face-3d", "facial-animation", "speech-driven-animation", "onnx", network_type)
    rows = [
        *_licence_rows(licence),
        "library_name: audio2face",
        "tags:",
        *(f"- {tag}" for tag in tags),
        *_result_rows(name, actors, metrics),
    ]
    return _FENCE + "".join(f"{row}\n" for row in rows) + _FENCE + "\n"


def _licence_rows(licence: str | None) -> list[str]:
    if licence is None:
        return ["license: unknown"]
    if licence in HUB_LICENCES:
        return [f"license: {licence}"]
    return ["license: other", f"license_name: {licence}"]


def _result_rows(name: str, actors: Sequence[str], metrics: Mapping[str, float]) -> list[str]:
    if not metrics:
        return []
    rows = [
        "model-index:",
        f"- name: {_quoted(name)}",
        "  results:",
        "  - task:",
        "      type: speech-driven-facial-animation",
        "      name: Speech-driven facial animation",
        "    dataset:",
        "      type: held-out-shots",
        f"      name: {_quoted('held-out shots of ' + ', '.join(actors))}",
        "    metrics:",
    ]
    for metric, value in metrics.items():
        rows += [f"    - type: {_quoted(metric)}", f"      value: {float(f'{value:.4g}')}"]
    return rows


def _quoted(text: str) -> str:
    """A text as YAML, which takes the strings of JSON."""
    return json.dumps(text, ensure_ascii=False)


def read_licence(readme: Path) -> str | None:
    """The licence that the header of a README states; None where there is no header, or it states none.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}", path=readme) from error
    header = _HEADER.match(text)
    if header is None:
        return None
    fields = {match["name"]: match["value"].strip("'\"") for match in _FIELD.finditer(header["body"])}
    licence = fields.get("license")
    if licence == "other":
        return fields.get("license_name")
    return None if licence in _UNSTATED else licence
