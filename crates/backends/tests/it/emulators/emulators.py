"""Runs one emulator of AWS until standard input ends: the pipe is closed when the test process ends, however it ends.

usage: emulators.py ministack|moto PORT
"""

import os
import sys
import threading


def watch():
    sys.stdin.buffer.read()
    os._exit(0)


name, port = sys.argv[1:]
threading.Thread(target=watch, daemon=True).start()
if name == "moto":
    from moto.s3.responses import S3Response
    from moto.server import main

    # moto looks whether there is an object and writes it in two steps; S3 does it in one. Without this lock two
    # concurrent writers with `If-None-Match: *` may both succeed.
    writing = threading.Lock()
    put_object = S3Response.put_object

    def put_object_in_one_step(self):
        with writing:
            return put_object(self)

    S3Response.put_object = put_object_in_one_step
    sys.argv[1:] = ["-H", "127.0.0.1", "-p", port]
else:
    os.environ.update(BIND_HOST="127.0.0.1", GATEWAY_PORT=port)
    from ministack.app import main

    sys.argv[1:] = []
main()
