"""What the product's edge does for a request, in FastAPI.

Rate limit for each client, correlation id, trace, duration histogram, security headers, one JSON line for each request.
It is written for speed: one plain ASGI middleware instead of a tower of them, and the standard logging with lines that
are written together every 100 ms, as the product does it.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import time
import uuid
from datetime import datetime, timezone

from prometheus_client import Gauge, Histogram

LIMIT_PER_MINUTE = 4_000_000_000
FLUSH_SECONDS = 0.1

DURATION = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP server requests.",
    ["method", "route", "status"],
    buckets=[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
)
ACTIVE = Gauge("http_server_active_requests", "HTTP server requests in work.")
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
]

histograms: dict[tuple[str, str, int], Histogram] = {}
arrivals: dict[str, float] = {}


class JsonFormatter(logging.Formatter):
    def format(self, record):
        line = {
            "timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        line.update(record.fields)
        return json.dumps(line)


class BufferedHandler(logging.StreamHandler):
    def flush(self):
        """Not after each line: see write_lines."""


stdout = open(1, "w", buffering=64 * 1024, closefd=False)
handler = BufferedHandler(stdout)
handler.setFormatter(JsonFormatter())
access = logging.getLogger("access")
access.addHandler(handler)
access.setLevel(logging.INFO)
access.propagate = False


async def write_lines():
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        stdout.flush()


@contextlib.asynccontextmanager
async def lifespan(_app):
    writer = asyncio.create_task(write_lines())
    yield
    writer.cancel()


def within_limit(client: str) -> bool:
    """GCRA, as in the product: a bucket that refills evenly."""
    now = time.monotonic()
    due = max(arrivals.get(client, now), now)
    if due - now > 60.0:
        return False
    arrivals[client] = due + 60.0 / LIMIT_PER_MINUTE
    return True


class Edge:
    def __init__(self, app, service):
        self.app = app
        self.service = service

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun = time.perf_counter()
        headers = dict(scope["headers"])
        correlation_id = headers.get(b"x-correlation-id", b"").decode("latin-1") or str(uuid.uuid4())
        parent = headers.get(b"traceparent", b"").split(b"-")
        trace_id = parent[1].decode() if len(parent) == 4 else secrets.token_hex(16)
        span_id = secrets.token_hex(8)
        client = scope["client"][0]
        status = 429

        async def send_with_headers(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].extend(SECURITY_HEADERS)
                took = time.perf_counter() - begun
                message["headers"].append((b"x-process-time", f"{took:.6f}".encode()))
                message["headers"].append((b"x-correlation-id", correlation_id.encode()))
            await send(message)

        ACTIVE.inc()
        try:
            if within_limit(client):
                await self.app(scope, receive, send_with_headers)
            else:
                await send_with_headers({"type": "http.response.start", "status": 429, "headers": []})
                await send({"type": "http.response.body", "body": b""})
        finally:
            ACTIVE.dec()
            self.finish(scope, status, time.perf_counter() - begun, client, correlation_id, trace_id, span_id)

    def finish(self, scope, status, took, client, correlation_id, trace_id, span_id):
        method, path = scope["method"], scope["path"]
        route = getattr(scope.get("route"), "path", "unmatched")
        key = (method, route, status)
        histogram = histograms.get(key)
        if histogram is None:
            histogram = histograms[key] = DURATION.labels(method, route, str(status))
        histogram.observe(took)
        fields = {
            "service": self.service,
            "correlation_id": correlation_id,
            "trace_id": trace_id,
            "span_id": span_id,
            "target": "keelson::access",
            "method": method,
            "route": route,
            "path": path,
            "status": status,
            "duration_ms": round(took * 1000, 3),
            "client": client,
        }
        access.info("%s %s %s", method, path, status, extra={"fields": fields})
