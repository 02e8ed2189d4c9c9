"""Animation parameters of quickstart-streaming: the output of the network, without exaggeration or offsets."""

EXTENDS = "quickstart-regression"
