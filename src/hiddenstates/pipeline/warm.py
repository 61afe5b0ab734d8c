"""`python -m hiddenstates.pipeline.warm <ipykernel's arguments>`: a kernel, warm where there is one to be had.

Torch, transformers, datasets and matplotlib take a kernel four seconds to import, and a pipeline starts a dozen
kernels. `forks` imports them once and forks a kernel whenever a process asks for one. To whoever started this process,
it is that kernel: the kernel has its environment, folder, input and output; it ends as the kernel ends, and takes it
along when it is killed or its own parent is gone. Where no server answers, it is a kernel as any other.
"""

import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path

ADDRESS = "HIDDENSTATES_KERNELS"
"""In the environment: the socket where `forks` listens."""

LAUNCHER = "ipykernel_launcher"
ACCEPTED, INTERRUPT = b"a", b"i"
OFTEN = 0.5  # seconds between two looks at whether the parent is there


def hand_over(address: str) -> None:
    """Let a forked kernel take this process's place, and end as it does. Return where none can."""
    asked = {"environment": dict(os.environ), "folder": str(Path.cwd()), "path": sys.path, "arguments": sys.argv[1:]}
    text = json.dumps(asked).encode()
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(address)
        except OSError:  # it is importing still, or gone
            return
        socket.send_fds(server, [len(text).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(text)
        if server.recv(1) == ACCEPTED:
            _end_with(server)


def _end_with(kernel: socket.socket) -> None:
    signal.signal(signal.SIGINT, lambda *_: kernel.sendall(INTERRUPT))
    kernel.settimeout(OFTEN)
    parent = int(os.environ.get("JPY_PARENT_PID", os.getppid()))  # as jupyter_client names itself
    while os.getppid() == parent:
        try:
            os._exit(int.from_bytes(kernel.recv(1) or b"\1", "big"))
        except TimeoutError:
            continue
    os._exit(1)


def run_kernel() -> None:
    """As `python -m ipykernel_launcher` does."""
    runpy.run_module(LAUNCHER, run_name="__main__", alter_sys=True)


def main() -> None:
    if ADDRESS in os.environ:
        hand_over(os.environ[ADDRESS])
    run_kernel()


if __name__ == "__main__":
    main()
