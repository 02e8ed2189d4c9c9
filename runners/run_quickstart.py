"""From nothing to the example actors, checked and preprocessed; the host script run_quickstart.py starts it."""

from __future__ import annotations

from audio2face.config import Roots
from audio2face.console import start_logging
from audio2face.dataset.example.make import make_example
from audio2face.preproc.run import preprocess
from audio2face.runs import say_where
from runners import run_check
from runners.common import open_configuration, run_stage
from tools import arguments

BOTH_ACTORS = "quickstart-multi"
ONE_ACTOR = "quickstart-diffusion"


def main(argv: list[str]) -> int:
    """Returns the exit status; a mistake of the user is a UserError."""
    arguments.parse("quickstart", argv)
    start_logging()
    folders = make_example(Roots.from_environment().datasets / "example")
    status = run_check.main([BOTH_ACTORS])
    if status != 0:
        return status
    configuration = open_configuration("preproc", ONE_ACTOR, config_file=None)
    outcome = preprocess(configuration, configuration.actors[0])
    results = {f"example actor {folder.name}": folder for folder in folders}
    results["listen to"] = next((folders[0] / "audio").glob("*joy*.wav"))
    results["shapes and coefficients"] = outcome.run.path
    results["report"] = outcome.run.path / "report" / "report.md"
    say_where(results, ["python run_check.py CONFIG_NAME    (your own data: see README.md)"])
    return 0


if __name__ == "__main__":
    run_stage(main)
