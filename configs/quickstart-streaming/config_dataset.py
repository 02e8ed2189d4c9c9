"""Dataset of quickstart-streaming: the example actor, who comes with the framework."""

EXTENDS = "quickstart-regression"
