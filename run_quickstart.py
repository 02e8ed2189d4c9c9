"""From a fresh clone to the example actors: python3 run_quickstart.py"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("quickstart", sys.argv[1:])
