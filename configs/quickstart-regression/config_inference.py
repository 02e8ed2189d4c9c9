"""Animation parameters of quickstart-regression: the defaults."""
