"""Ends with 0 when the emulator answers and prepare.py has done its work."""

import json
import urllib.request

with urllib.request.urlopen("http://127.0.0.1:4566/_ministack/ready", timeout=3) as answer:
    ready = json.load(answer)
if ready["failed"]:
    raise SystemExit("prepare.py failed; the log of this container says why")
