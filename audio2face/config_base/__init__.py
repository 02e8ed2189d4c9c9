"""Every parameter with its type, default and explanation: the single source of truth for configurations.

There are six modules of parameters, one for each kind of user file and network type, and one for their types. They
hold data only; `audio2face.config` merges user files over them.
"""
