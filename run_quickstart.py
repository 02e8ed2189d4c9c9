"""From a fresh clone to the example actors: python3 run_quickstart.py"""

import sys

from tools import launch

if __name__ == "__main__":
    launch.run_stage("quickstart", sys.argv[1:])
