"""From nothing to the example actors, checked; the host script run_quickstart.py starts it."""

from __future__ import annotations

from audio2face.config import Roots
from audio2face.console import start_logging
from audio2face.dataset.example.make import make_example
from audio2face.runs import say_where
from runners import run_check
from runners.common import run_stage
from tools import arguments

CONFIG_NAME = "quickstart-multi"  # the configuration that names both example actors


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    arguments.parse("quickstart", argv)
    start_logging()
    folders = make_example(Roots.from_environment().datasets / "example")
    status = run_check.main([CONFIG_NAME])
    if status == 0:
        listen = next((folders[0] / "audio").glob("*joy*.wav"))
        results = {f"example actor {folder.name}": folder for folder in folders} | {"listen to": listen}
        say_where(results, ["python run_check.py CONFIG_NAME    (your own data, see docs)"])
    return status


if __name__ == "__main__":
    run_stage(main)
