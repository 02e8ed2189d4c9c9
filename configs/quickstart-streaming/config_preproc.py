"""Preprocessing of quickstart-streaming."""

EXTENDS = "quickstart-diffusion"
