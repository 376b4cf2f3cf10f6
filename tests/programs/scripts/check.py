"""check.py NAME DIGEST [COMMAND ARGUMENT...]: see ../c/check.c."""

import hashlib
import os
import subprocess
import sys


def verdict(name, digest):
    value = os.environ.get(name)
    if value is None:
        return "missing"
    return "seen" if hashlib.sha256(value.encode()).hexdigest() == digest else "different"


if __name__ == "__main__":
    name, digest, *command = sys.argv[1:]
    print(verdict(name, digest), flush=True)
    if command:
        sys.exit(subprocess.run(command).returncode)
    sys.stdin.buffer.read()
