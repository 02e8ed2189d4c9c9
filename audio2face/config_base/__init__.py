"""Every parameter with its type, default and explanation: the single source of truth for configurations.

Six modules of parameters, one for each kind of user file and network type, and the vocabulary of their types. They
hold data only and import nothing heavy; `audio2face.config` merges user files over them.
"""
