"""Serves deployed models over gRPC: python run_serve.py MODEL... [--port 52000]"""

import sys

from tools import start

if __name__ == "__main__":
    start.run_stage("serve", sys.argv[1:])
