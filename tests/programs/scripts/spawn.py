"""spawn.py WAY NAME DIGEST PROGRAM [ARGUMENT...]: starts PROGRAM in one of the
ways that Python has, each of which copies the environment."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys

from check import verdict

way, name, digest, *command = sys.argv[1:]


def run(**options):
    return subprocess.run(command, **options).returncode


def many():
    def one(_):
        output = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return output.stdout == "seen\n" and output.returncode == 0

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        print(sum(pool.map(one, range(40))), "children have seen it", flush=True)
    sys.stdin.buffer.read()
    return 0


def assign():
    os.environ[name] = os.environ[name]
    return run()


def rename():
    os.environ["ANOTHER_NAME"] = os.environ.pop(name)
    index = command.index(name)
    command[index] = "ANOTHER_NAME"
    return run()


def delete():
    del os.environ[name]
    return run()


def execute():
    os.execve(command[0], command, dict(os.environ))


def spawn():
    pid = os.posix_spawn(command[0], command, os.environ)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork():
    pid = os.fork()
    if pid == 0:
        os.execv(command[0], command)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


ways = {
    "subprocess": run,
    "copied-dict": lambda: run(env=dict(os.environ)),
    "chosen": lambda: run(env={key: os.environ[key] for key in (name, "PATH", "ENVWARD_TEST_MARK")}),
    "without": lambda: run(env={key: value for key, value in os.environ.items() if key != name}),
    "shell": lambda: subprocess.call(" ".join(command), shell=True),
    "system": lambda: os.system(" ".join(command)),
    "new-session": lambda: run(start_new_session=True),
    "preexec": lambda: run(preexec_fn=lambda: None),
    "assign": assign,
    "rename": rename,
    "delete": delete,
    "execve": execute,
    "posix_spawn": spawn,
    "fork": fork,
    "many": many,
}


def worker():
    print(verdict(name, digest), flush=True)
    sys.exit(run())


if __name__ == "__main__":
    print(verdict(name, digest), flush=True)
    if way == "multiprocessing":
        # A fresh interpreter, which finds the work in a pipe.
        process = multiprocessing.get_context("spawn").Process(target=worker)
        process.start()
        process.join()
        sys.exit(process.exitcode)
    sys.exit(ways[way]())
