"""Stage 3, deployment: python run_deploy.py CONFIG_NAME TRAINING_RUN_NAME_FULL

Or a check of any deployed folder: python run_deploy.py --check FOLDER
"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("deploy", sys.argv[1:])
