"""Fetches a published model from a hub: `audio2face pull OWNER/NAME FOLDER`."""

from __future__ import annotations

from pathlib import Path

from audio2face.cli import parsers
from audio2face.cli.process import run_stage
from audio2face.console import LOGGER, start_logging
from audio2face.model_folder.hub import pull
from audio2face.runs import log_outputs


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("pull", argv)
    start_logging()
    target = Path(args.folder)
    licence = pull(args.repo_id, target, revision=args.revision, force=args.force)
    if licence is None:
        LOGGER.warning("%s states no licence: ask its publisher before you pass it on", args.repo_id)
    else:
        LOGGER.info("licence: %s", licence)
    log_outputs({"Model:": target}, [f"python run_inference.py --model {target} --audio YOUR_SPEECH.wav"])
    return 0


if __name__ == "__main__":
    run_stage(main)
