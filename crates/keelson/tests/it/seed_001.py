"""The end-to-end test of the original system, as its document describes it, with the client that it used.

POST to the API, wait, find the object under today's prefix by listing, compare its content, delete it.
Environment: ALB_DNS, API_TOKEN, S3_BUCKET_NAME, and what boto3 reads.
"""

import datetime
import json
import os
import sys
import time
import urllib.request

import boto3

data = {
    "email_subject": "E2E test",
    "email_sender": "e2e@example.com",
    "email_timestream": str(int(time.time())),
    "email_content": "Grüße, 世界 🌍",
}
request = urllib.request.Request(
    f"http://{os.environ['ALB_DNS']}/api/message",
    data=json.dumps({"data": data, "token": os.environ["API_TOKEN"]}).encode(),
    headers={"Content-Type": "application/json"},
)
with urllib.request.urlopen(request, timeout=10) as response:
    answer = json.load(response)
    assert response.status == 200, response.status
assert answer["message"] == "Message sent to queue" and answer["status"] == "success", answer
message_id = answer["message_id"]

s3 = boto3.client("s3")
bucket = os.environ["S3_BUCKET_NAME"]
deadline = time.monotonic() + 60
while True:
    prefix = datetime.datetime.now(datetime.timezone.utc).strftime("messages/%Y/%m/%d/")
    listing = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    keys = [found["Key"] for found in listing if message_id in found["Key"]]
    if keys:
        break
    assert time.monotonic() < deadline, f"{message_id} is not under {prefix}: {listing}"
    time.sleep(0.2)

assert keys == [f"{prefix}{message_id}.json"], keys
found = s3.get_object(Bucket=bucket, Key=keys[0])
assert found["ContentType"] == "application/json", found["ContentType"]
assert found["ServerSideEncryption"] == "AES256", found
stored = json.load(found["Body"])
for name, value in data.items():
    assert stored[name] == value, (name, stored)
assert "token" not in stored and os.environ["API_TOKEN"] not in json.dumps(stored), "the token is stored"
metadata = stored["_metadata"]
assert metadata["message_id"] == message_id and metadata["source"] == "/api/message", metadata

s3.delete_object(Bucket=bucket, Key=keys[0])
listing = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
assert not [found for found in listing if message_id in found["Key"]], listing

# Nothing of it is left on the queue, and the token never was there.
sys.stdout.write(f"E2E TEST PASSED {message_id}\n")
