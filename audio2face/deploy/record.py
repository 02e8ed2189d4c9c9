"""`export.json` in a training run: what was exported, kept beside the graph, which cannot say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pydantic

from audio2face.deploy.diffusion_plan import Sampling
from audio2face.deploy.exported import Parity
from audio2face.errors import FileFormatError, UserError
from audio2face.files import write_json

RECORD_FILE = "export.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExportRecord:
    """What was exported.

    Attributes:
        encoder: the speech encoder, as `encoders.record` describes it; empty for a network without.
        has_emotions: False where the only emotion is a stand-in, because the SDK cannot do without.
        sampling: the steps inside a diffusion graph; None for a regression network.
        parity: how far graph and network agree.
    """

    encoder: Mapping[str, Any]
    has_emotions: bool
    sampling: Sampling | None
    parity: Parity
    schema_version: int = SCHEMA_VERSION

    def save(self, run_folder: Path) -> None:
        """Writes the record into a training run."""
        write_json(run_folder / RECORD_FILE, asdict(self))

    @classmethod
    def open(cls, run_folder: Path) -> ExportRecord:
        """Reads the record of a training run.

        Raises:
            UserError: nothing was exported, or (FileFormatError) the record is damaged or of another version.
        """
        path = run_folder / RECORD_FILE
        if not path.is_file():
            raise UserError(
                f"was not exported: {RECORD_FILE} is missing",
                path=run_folder,
                hint="Let training end, or give --export to export the weights there are.",
            )
        try:
            record = _READER.validate_json(path.read_bytes())
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise FileFormatError(f"is no record of an export: {place}: {first['msg']}", path=path) from error
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", path=path) from error
        if record.schema_version != SCHEMA_VERSION:
            raise FileFormatError(f"has the layout {record.schema_version}, known is {SCHEMA_VERSION}", path=path)
        return record


_READER = pydantic.TypeAdapter(ExportRecord)
