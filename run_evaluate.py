"""Evaluation: python run_evaluate.py CONFIG_NAME TRAINING_RUN_NAME_FULL [TRAINING_RUN_NAME_FULL ...]"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("evaluate", sys.argv[1:])
