"""Runs a server that speaks MongoDB's protocol until standard input ends: the pipe is closed when the test process ends,
however it ends. The databases are files in the folder, or in memory.

usage: server.py PORT FOLDER|memory
"""

import os
import sys
import threading

from nx_27017.nx_27017 import main


def watch():
    sys.stdin.buffer.read()
    os._exit(0)


port, folder = sys.argv[1:]
threading.Thread(target=watch, daemon=True).start()
sys.argv[1:] = ["--data-dir", folder, "--host", "127.0.0.1", "-p", port, "--log-file", os.devnull, "--pid-file", os.devnull]
main()
