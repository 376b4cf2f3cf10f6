"""Answers for python-dotenv: a line is a file in hexadecimal, the answer a JSON object."""

import io
import json
import logging
import os
import sys

from dotenv import dotenv_values

logging.disable(logging.CRITICAL)
os.environ.clear()
for line in sys.stdin:
    stream = io.TextIOWrapper(io.BytesIO(bytes.fromhex(line.strip())), encoding="utf-8")
    try:
        answer = dict(dotenv_values(stream=stream))
    except Exception:
        answer = None
    print(json.dumps(answer), flush=True)
