"""Turns captures of a face into a data set: python run_import.py KIND SOURCE... --name NAME"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("import", sys.argv[1:])
