# Name resolution in one thread, changes of the environment in another.
import os
import socket
import threading
import time

end = time.monotonic() + 5


def resolve():
    while time.monotonic() < end:
        socket.getaddrinfo("localhost", 80)


threads = [threading.Thread(target=resolve) for _ in range(2)]
for thread in threads:
    thread.start()
while time.monotonic() < end:
    for at in range(1000):
        os.environ[f"GROW_{at}"] = "value"
        if at % 50 == 0:
            # Memory that was used and given back: the array of libc grows into it.
            [b"\xfb" * 20000 for _ in range(4)]
    for at in range(1000):
        del os.environ[f"GROW_{at}"]
for thread in threads:
    thread.join()
