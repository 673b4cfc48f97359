"""Fernet as an old peer has it: for each line "WHAT SIZE SECONDS", how often it is done in a second."""

import base64
import sys
import time

from cryptography.fernet import Fernet

BETWEEN_LOOKS = 16

fernet = Fernet(base64.urlsafe_b64encode(sys.argv[1].encode()[:32].ljust(32, b"0")))


def encrypt(plaintext):
    return base64.urlsafe_b64encode(fernet.encrypt(plaintext)).decode()


def decrypt(encrypted_data):
    return fernet.decrypt(base64.urlsafe_b64decode(encrypted_data))


def rate(act, argument, seconds):
    done, begun = 0, time.perf_counter()
    while True:
        for _ in range(BETWEEN_LOOKS):
            act(argument)
        done += BETWEEN_LOOKS
        elapsed = time.perf_counter() - begun
        if elapsed >= seconds:
            return done / elapsed


for line in sys.stdin:
    what, size, seconds = line.split()
    plaintext = b"a" * int(size)
    act, argument = (encrypt, plaintext) if what == "encrypt" else (decrypt, encrypt(plaintext))
    print(rate(act, argument, float(seconds)), flush=True)
