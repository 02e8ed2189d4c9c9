"""Animation parameters of example-regression-min."""

EXTENDS = "example-regression"
