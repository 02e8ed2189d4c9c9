"""The configuration of a training run that was named without it, as the run records it."""

from __future__ import annotations

from audio2face.config.paths import Roots
from audio2face.errors import UserError
from audio2face.run_names import recorded_configuration, resolve_training_run

_TRAINED = "output_train"  # where TRAIN_OUTPUT_ROOT is by default


def configuration_of_run(text: str, roots: Roots | None = None) -> str:
    """Finds the name of the configuration of a training run.

    Args:
        text: a full name, an end or a part of it, or `latest`.
        roots: where the workspace and `configs/` lie; by default from the environment.

    Raises:
        UserError: there is no such run, there are several, or it records no configuration.
    """
    roots = roots or Roots.from_environment()
    try:
        run = resolve_training_run(text, roots.workspace / _TRAINED)
    except UserError as error:
        if (roots.framework / "configs" / text).is_dir():
            raise UserError(
                f"{text!r} is a configuration: which of its runs is meant is missing",
                hint=f"Give the run after it, or 'latest' for its newest:\n  {text} latest",
            ) from error
        raise
    name = recorded_configuration(run)
    if name is None:
        raise UserError(
            "does not record its configuration", path=run, hint="Give CONFIG_NAME before the name of the run."
        )
    return name
