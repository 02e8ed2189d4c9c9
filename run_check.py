"""Checks the raw data of actors: python run_check.py CONFIG_NAME [ACTOR_NAME ...]"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("check", sys.argv[1:])
