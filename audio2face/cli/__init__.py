"""The command line: one command, `audio2face`, and the same stages for the host scripts `run_*.py`.

Importing this package imports nothing else. `parsers`, `settings`, `stopping`, `supervisor`, `stage_process` and
`local` are made of the standard library only and read by any Python from 3.8 on, since host scripts use them.
"""
