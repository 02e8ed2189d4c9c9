"""Runs the tests: python3 run_tests.py [--slow] [pytest arguments]"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("tests", sys.argv[1:])
