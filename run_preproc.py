"""Stage 1, preprocessing: python run_preproc.py CONFIG_NAME ACTOR_NAME [ACTOR_NAME ...]"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("preproc", sys.argv[1:])
