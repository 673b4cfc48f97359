"""A REST API of the shape of seed 001: Flask, boto3, a token from Parameter Store that is kept for five minutes.

What such a service does and no more: one SendMessage for each request, counters for Prometheus, no log line for what
went well. The client of SQS may hold a connection for each thread of the server.
"""

import json
import os
import secrets
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from flask import Flask, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

QUEUE_URL = os.environ["SQS_QUEUE_URL"]
PARAMETER = os.environ["SSM_PARAMETER_NAME"]
THREADS = int(os.environ["THREADS"])
TOKEN_TTL_SECONDS = 300
REQUIRED = ["email_subject", "email_sender", "email_timestream", "email_content"]

MESSAGES = Counter("api_messages_total", "Messages by what became of them.", ["status"])
DURATION = Histogram("api_request_duration_seconds", "Duration of requests for a message.")

app = Flask(__name__)
sqs = boto3.client("sqs", config=Config(max_pool_connections=THREADS))
ssm = boto3.client("ssm")
cached_token: tuple[str, float] = ("", 0.0)


def token() -> str:
    global cached_token
    value, expires_at = cached_token
    now = time.monotonic()
    if now >= expires_at:
        answer = ssm.get_parameter(Name=PARAMETER, WithDecryption=True)
        value = answer["Parameter"]["Value"]
        cached_token = (value, now + TOKEN_TTL_SECONDS)
    return value


def refuse(status: int, text: str):
    MESSAGES.labels("refused").inc()
    return jsonify({"error": text}), status


@app.get("/health")
def health():
    return jsonify({"status": "healthy"})


@app.get("/metrics")
def metrics():
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


@app.post("/api/message")
@DURATION.time()
def post_message():
    if not request.is_json:
        return refuse(400, "Content-Type must be application/json")
    payload = request.get_json(silent=True)
    if not isinstance(payload, dict):
        return refuse(400, "Invalid JSON payload")
    if "token" not in payload:
        return refuse(400, "Missing 'token' field")
    try:
        if not secrets.compare_digest(str(payload["token"]), token()):
            return refuse(401, "Invalid token")
        data = payload.get("data")
        if not isinstance(data, dict):
            return refuse(400, "Missing 'data' field")
        missing = [field for field in REQUIRED if not data.get(field)]
        if missing:
            return refuse(400, f"Missing required fields in data: {', '.join(missing)}")
        answer = sqs.send_message(QueueUrl=QUEUE_URL, MessageBody=json.dumps(data))
    except (BotoCoreError, ClientError):
        app.logger.exception("AWS failed")
        return refuse(503, "Failed to send message")
    MESSAGES.labels("sent").inc()
    return jsonify({"message": "Message sent to queue", "message_id": answer["MessageId"], "status": "success"})


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
