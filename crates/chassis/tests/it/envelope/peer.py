"""A peer of the original systems: for each line, decrypts a request in every form and answers with the same plaintext.

What it decrypts it must find equal in the three forms; whether it is the right one, the other side sees by the answer.
"""

import base64
import json
import os
import sys
import time

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

TEXT, RANDOM_KEY = sys.argv[1:]

fernet = Fernet(base64.urlsafe_b64encode(TEXT.encode()[:32].ljust(32, b"0")))
derivation = PBKDF2HMAC(algorithm=hashes.SHA256(), length=32, salt=b"priscope_salt", iterations=100_000)
gcm = AESGCM(derivation.derive(TEXT.encode()))
v2 = AESGCM(base64.b64decode(RANDOM_KEY))


def associated_data(direction, sender, target, seconds):
    path = "/api/v1/analytics/events?x=1"
    lines = ["keelson-v2", direction, "POST", path, sender, target, str(seconds), "k1"]
    return "\n".join(lines).encode()


def seal(key, plaintext, associated):
    nonce = os.urandom(12)
    return base64.b64encode(nonce + key.encrypt(nonce, plaintext, associated)).decode()


def open_sealed(key, encrypted_data, associated):
    body = base64.b64decode(encrypted_data, validate=True)
    return key.decrypt(body[:12], body[12:], associated)


def decrypt(line):
    associated = associated_data("request", "user-service", "analytics-service", line["time"])
    plaintext = fernet.decrypt(base64.urlsafe_b64decode(line["fernet"]))
    assert open_sealed(gcm, line["gcm"], None) == plaintext
    assert open_sealed(v2, line["v2"], associated) == plaintext
    return plaintext


def encrypt(plaintext):
    seconds = int(time.time())
    associated = associated_data("response", "analytics-service", "user-service", seconds)
    return {
        "fernet": base64.urlsafe_b64encode(fernet.encrypt(plaintext)).decode(),
        "gcm": seal(gcm, plaintext, None),
        "v2": seal(v2, plaintext, associated),
        "time": seconds,
    }


for line in sys.stdin:
    print(json.dumps(encrypt(decrypt(json.loads(line)))), flush=True)
