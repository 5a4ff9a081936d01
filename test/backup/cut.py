"""
Runs a command between two pipes, and cuts both after so many bytes of one: cut.py UP DOWN COMMAND...; -1: not. CUT_COUNTS names a file for how many
bytes passed in each direction.
"""
import os, subprocess, sys, threading

passed = [0, 0]

child = subprocess.Popen(sys.argv[3:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def copy(direction, source, target, left):
    """Copies until the end, or so many bytes; then both pipes are closed, as when a connection breaks."""
    try:
        while left != 0:
            data = os.read(source, 65536 if left < 0 else min(left, 65536))
            if not data:
                break
            passed[direction] += len(data)
            if left > 0:
                left -= len(data)
            while data:
                data = data[os.write(target, data) :]
    except OSError:
        pass
    if left == 0:
        cut()
    else:
        close(target)


def close(fd):
    try:
        os.close(fd)
    except OSError:
        pass


def cut():
    for fd in (child.stdin.fileno(), 1, 0):
        close(fd)


threads = [
    threading.Thread(target=copy, args=(0, 0, child.stdin.fileno(), int(sys.argv[1])), daemon=True),
    threading.Thread(target=copy, args=(1, child.stdout.fileno(), 1, int(sys.argv[2]))),
]
for thread in threads:
    thread.start()
threads[1].join()
close(1)
child.wait()
if "CUT_COUNTS" in os.environ:
    with open(os.environ["CUT_COUNTS"], "w") as file:
        print(*passed, file=file)
