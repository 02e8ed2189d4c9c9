"""Training of quickstart-multi. Without CLIPS, every shot is used whole; without PREPROC_RUN_NAME_FULL, the newest run."""

RUN_NAME = "quickstart-multi"
NETWORK_TYPE = "diffusion"
