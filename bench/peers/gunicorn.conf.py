"""One worker, as the peers have one core; uvloop and httptools; no log besides the app's own."""

workers = 1
worker_class = "fastapi_worker.Worker"
keepalive = 120
accesslog = None
errorlog = "-"
loglevel = "warning"
