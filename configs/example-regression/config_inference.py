"""Animation parameters of example-regression."""

CONFIG = {
    "source_shot": "cp1_neutral",
    "source_frame": 220,
}
