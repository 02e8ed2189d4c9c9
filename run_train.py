"""Stage 2, training: python run_train.py CONFIG_NAME"""

import sys

from tools import launch

if __name__ == "__main__":
    launch.run_stage("train", sys.argv[1:])
