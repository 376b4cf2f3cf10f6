"""Looks for its secrets in two places: where programs look, and where thieves look."""

import os
import subprocess
import sys

NAMES = ["DATABASE_URL", "API_KEY"]
missing = [name for name in NAMES if not os.environ.get(name)]
if missing:
    sys.exit(f"{', '.join(missing)} not set; run me under envward, as ./try does")


def look(who, pid):
    """Says whether /proc shows the secrets of a process. Shows none of them itself."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            shown = file.read()
    except PermissionError:
        print(f"  {who}: /proc/{pid}/environ may not even be opened")
        return False
    found = [name for name in NAMES if os.environb[name.encode()] in shown]
    print(f"  {who}: /proc/{pid}/environ ({len(shown)} bytes) shows {', '.join(found) or 'no secret'}")
    return bool(found)


print(f"python3: os.environ has {', '.join(NAMES)}")
leaked = look("python3", os.getpid())

# A program that we start has them too, and shows them as little.
check = 'test -n "$DATABASE_URL" && test -n "$API_KEY" && echo has them || echo has them not; read line'
child = subprocess.Popen(["sh", "-c", check], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
answer = child.stdout.readline().strip()
print(f"sh, started by it: {answer}")
leaked |= look("sh", child.pid)
child.communicate()
sys.exit(1 if leaked or answer != "has them" else 0)
