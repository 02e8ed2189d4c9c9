"""Stage 2, training: python run_train.py CONFIG_NAME"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("train", sys.argv[1:])
