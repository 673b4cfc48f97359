"""Asks for users and makes new ones at a steady rate, until it is told to end, and counts the answers.

    load.py URL RATE

The first line of standard input is an operator's token; what comes after it ends this, and so does its end.

The last line printed is a JSON object: how many requests there were, how many of them failed, why the first of those
did, and the slowest answer in milliseconds. A request fails when it has another answer than the one it should, or none.
"""

import asyncio
import json
import sys
import time
import uuid
from urllib.parse import urlsplit

CONNECTIONS = 16
PATIENCE = 10


class Connection:
    """One that is kept, and opened anew only after an answer that says so."""

    def __init__(self, host, port, token):
        self.host, self.port, self.token = host, port, token
        self.streams = None

    async def send(self, method, path, body=b""):
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self.streams
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Bearer {self.token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in answer[1:] if line)
        content = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            await self.close()
        return int(answer[0].split(" ")[1]), content

    async def close(self):
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


class Load:
    def __init__(self, url, rate, token):
        self.places = [Connection(url.hostname, url.port, token) for _ in range(CONNECTIONS)]
        self.rate, self.ended = rate, asyncio.Event()
        self.sent, self.failed, self.first_failure, self.slowest = 0, 0, None, 0.0

    async def make_user(self, connection):
        mail = f"{uuid.uuid4()}@example.com"
        body = json.dumps({"name": "Load", "email": mail, "age": 30}).encode()
        status, content = await connection.send("POST", "/api/v1/users", body)
        if status != 201:
            raise RuntimeError(f"POST answered {status}: {content.decode()}")
        return json.loads(content)["id"]

    async def get_user(self, connection, user):
        status, content = await connection.send("GET", f"/api/v1/users/{user}")
        if status != 200 or json.loads(content)["id"] != user:
            raise RuntimeError(f"GET answered {status}: {content.decode()}")

    async def ask(self, connection, number, user):
        begun = time.monotonic()
        self.sent += 1
        try:
            work = self.make_user(connection) if number % 2 else self.get_user(connection, user)
            await asyncio.wait_for(work, PATIENCE)
        except Exception as error:
            self.failed += 1
            self.first_failure = self.first_failure or f"{type(error).__name__}: {error}"
            await connection.close()
        self.slowest = max(self.slowest, time.monotonic() - begun)

    async def keep_asking(self, connection, offset):
        """Its share of the rate. Who was late catches up, so that a pause is seen as what it is."""
        user = await self.make_user(connection)
        begun, number = time.monotonic() + offset / self.rate, 0
        while not self.ended.is_set():
            await asyncio.sleep(max(0, begun + number * CONNECTIONS / self.rate - time.monotonic()))
            await self.ask(connection, number, user)
            number += 1
        await connection.close()

    async def run(self):
        asyncio.get_running_loop().add_reader(sys.stdin, self.ended.set)
        await asyncio.gather(*(self.keep_asking(place, offset) for offset, place in enumerate(self.places)))
        print(json.dumps({
            "requests": self.sent,
            "failed": self.failed,
            "first_failure": self.first_failure,
            "slowest_ms": round(self.slowest * 1000),
        }))


async def main():
    await Load(urlsplit(sys.argv[1]), float(sys.argv[2]), sys.stdin.buffer.raw.readline().decode().strip()).run()


asyncio.run(main())
