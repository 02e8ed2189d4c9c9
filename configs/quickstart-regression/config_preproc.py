"""Preprocessing of quickstart-regression."""

RUN_NAME = "quickstart"
