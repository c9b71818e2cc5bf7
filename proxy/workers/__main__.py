"""``python -m proxy.workers NUMBER FD`` is one worker, started by a supervisor. `NUMBER` is for who reads ``ps``."""

import socket
import sys

import uvloop

from proxy.workers.worker import work

sys.exit(uvloop.run(work(socket.socket(fileno=int(sys.argv[2])))))
