"""Animation parameters of example-regression-min."""

CONFIG = {
    "source_shot": "cp1_neutral",
    "source_frame": 220,
}
