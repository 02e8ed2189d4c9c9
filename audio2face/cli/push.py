"""Publishes a deployed model on a hub: `audio2face push FOLDER OWNER/NAME`."""

from __future__ import annotations

from audio2face.cli import parsers
from audio2face.cli.process import run_stage
from audio2face.console import LOGGER, start_logging
from audio2face.model_folder.hub import push
from audio2face.runs import deployed_model


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("push", argv)
    start_logging()
    published = push(deployed_model(args.folder), args.repo_id, private=args.private)
    LOGGER.info("%d files under the licence %s: %s", len(published.files), published.licence, published.url)
    return 0


if __name__ == "__main__":
    run_stage(main)
