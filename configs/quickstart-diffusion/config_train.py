"""Training of quickstart-diffusion. Without CLIPS, every shot is used whole; without PREPROC_RUN_NAME_FULL, the newest run."""

RUN_NAME = "quickstart-diffusion"
NETWORK_TYPE = "diffusion"
