"""Training of quickstart-regression. Without CLIPS, every shot is used whole; without PREPROC_RUN_NAME_FULL, the newest run."""

RUN_NAME = "quickstart-regression"
NETWORK_TYPE = "regression"
