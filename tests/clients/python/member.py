"""What the Python scripts share: the command line and the lines they write (see ../README.md)."""

import sys
import threading


def say(*words):
    print(*words, flush=True)


# What `transact` commits for its group.
OFFSET = 42


class Leave:
    """Set once standard input has ended."""

    def __init__(self):
        self._asked = threading.Event()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self):
        sys.stdin.read()
        self._asked.set()

    def asked(self):
        return self._asked.is_set()


def main(codecs, produce, consume, transact):
    what, *args = sys.argv[1:]
    if what == "codecs":
        say("\n".join(codecs))
    elif what == "produce":
        bootstrap, topic, codec, label, count = args
        produce(bootstrap, topic, codec, [(str(i), f"{label}-{i}") for i in range(int(count))])
    elif what == "consume":
        consume(*args)
    elif what == "transact":
        transact(*args)
    else:
        sys.exit(f"unknown command: {what}")
