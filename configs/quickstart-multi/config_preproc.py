"""Preprocessing of quickstart-multi."""

RUN_NAME = "quickstart"
