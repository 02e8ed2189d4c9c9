"""Preprocessing of quickstart-multi."""

EXTENDS = "quickstart-diffusion"
