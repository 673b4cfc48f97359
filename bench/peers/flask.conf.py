"""One worker, as the peers have one core; threads, since each waits for SQS; connections that stay open; no access log."""

import os

workers = 1
worker_class = "gthread"
threads = int(os.environ["THREADS"])
worker_connections = 1000
keepalive = 120
accesslog = None
errorlog = "-"
loglevel = "warning"
