"""Stage 4, inference: python run_inference.py CONFIG_NAME TRAINING_RUN_NAME_FULL"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("inference", sys.argv[1:])
