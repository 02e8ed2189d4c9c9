"""Every parameter with its type, default and explanation: the single source of truth for configurations.

There are six modules of parameters, one for each kind of user file and network type. What training of every network
shares is declared once, in `train_common`; types are in `types`. The modules hold data only; `audio2face.config` merges
user files over them.
"""
