"""`python -m hiddenstates.pipeline.forks <socket>`: imports what notebooks do, then forks a kernel for each who asks.

It only imports: it computes nothing, and so a fork can do all that a new process can, use a GPU included.
"""

import builtins
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from hiddenstates.pipeline import warm

IMPORTED = (
    "ipykernel.kernelapp",
    "torch",
    "transformers.modeling_utils",
    "transformers.processing_utils",
    "datasets",
    "matplotlib.pyplot",
    "sklearn.linear_model",
    "faiss",
    "bm25s",
)
READ_AT_IMPORT = ("OMP_", "MKL_", "OPENBLAS_", "NUMBA_", "TORCH_", "PYTORCH_", "HF_", "TRANSFORMERS_", "TQDM_")
"""How the names begin of what those look up in the environment meanwhile: who has other values gets no kernel here."""

BEFORE_IMPORT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as a kernel sets it
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # else to ask for a GPU would keep forks from using it
}

SHORT = "/tmp"
"""The folder of the server's socket, whose path must be short: TMPDIR may be long."""

Asked = dict[str, Any]
"""environment, folder, path, arguments: those of the process whose place a kernel takes."""


@contextmanager
def kernels(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """What to add to the environment of whoever shall find the server's kernels, while the block lasts.

    Nothing where a server is named there already; where the system is another than Linux, since elsewhere libraries do
    not expect to be forked; or where `SHORT` cannot be written to.
    """
    if warm.ADDRESS in environment or sys.platform != "linux" or not os.access(SHORT, os.W_OK):
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="hiddenstates-", dir=SHORT) as folder:  # which nobody else can enter
        address = f"{folder}/kernels"
        command = [sys.executable, "-m", __name__, address]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=dict(environment)) as server:
            try:
                yield {warm.ADDRESS: address}
            finally:
                server.terminate()


class Server:
    """Forks a kernel for each process that asks for one. When the standard input ends, it ends with its last kernel.

    settings: what it found in the environment before the imports
    """

    def __init__(self, address: str, settings: Mapping[str, str]) -> None:
        self.settings = settings
        self.kernels: dict[socket.socket, int] = {}
        self.selector = selectors.DefaultSelector()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(address)
        self.listening.listen()
        self.ends, self.noted = socket.socketpair()
        self.noted.setblocking(False)
        signal.set_wakeup_fd(self.noted.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._on(sys.stdin, self._stop)
        self._on(self.listening, self._start)
        self._on(self.ends, self._tell_ends)

    def serve(self) -> Asked:
        """Return in the forked processes alone: what each is to be."""
        while True:
            key, _ = self.selector.select()[0]  # one at a time: what it does may be the end of another
            if asked := key.data():
                return asked

    def _on(self, file: Any, act: Callable[[], Asked | None]) -> None:
        self.selector.register(file, selectors.EVENT_READ, act)

    def _start(self) -> Asked | None:
        client, _ = self.listening.accept()
        size, files, _, _ = socket.recv_fds(client, 4, 3)
        asked: Asked = json.loads(client.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
        pid = os.fork() if read_at_import(asked["environment"]) == self.settings else None
        if pid == 0:
            self._leave(client, files)
            return asked
        if pid:
            client.sendall(warm.ACCEPTED)
            self.kernels[client] = pid
            self._on(client, lambda: self._pass_on(client))
        else:
            client.close()
        for file in files:
            os.close(file)
        return None

    def _leave(self, client: socket.socket, files: list[int]) -> None:
        """In a new kernel: the input and output that it was given, and nothing of the server's.

        In a session of its own, as jupyter_client starts kernels: Ctrl-C in a terminal is for the runner alone.
        """
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for place, file in enumerate(files):
            os.dup2(file, place)
            os.close(file)
        self.selector.close()
        for one in (client, self.listening, self.ends, self.noted, *self.kernels):
            one.close()

    def _pass_on(self, client: socket.socket) -> None:
        """An interrupt; or, where whoever asked is gone, the end."""
        said = client.recv(1)
        os.kill(self.kernels[client], signal.SIGINT if said == warm.INTERRUPT else signal.SIGKILL)
        if not said:
            os.waitpid(self._forget(client), 0)

    def _tell_ends(self) -> None:
        self.ends.recv(100)
        for client, pid in list(self.kernels.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with suppress(OSError):  # who asked may have ended just now, too
                    client.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
                self._forget(client)

    def _forget(self, client: socket.socket) -> int:
        self.selector.unregister(client)
        client.close()
        pid = self.kernels.pop(client)
        self._end_when_done()
        return pid

    def _stop(self) -> None:
        for file in (sys.stdin, self.listening):
            self.selector.unregister(file)
        self._end_when_done()

    def _end_when_done(self) -> None:
        if not self.kernels and self.listening not in self.selector.get_map():
            sys.exit()


def become(asked: Asked) -> None:
    """The kernel that was asked for. Of this package nothing stays: it may have another one in its path."""
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    tempfile.tempdir = None  # TMPDIR may be another one
    sys.path[:] = asked["path"]
    sys.argv[1:] = asked["arguments"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "hiddenstates"]:
        del sys.modules[name]
    warm.run_kernel()


def read_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """What of it the imported modules look up."""
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_IMPORT)}


def import_as_kernels_do() -> None:
    """pandas asks, as it is imported, whether it is in a terminal or in a kernel, and shows tables accordingly."""
    vars(builtins)["get_ipython"] = lambda: SimpleNamespace(kernel=True)
    for module in IMPORTED:
        import_module(module)
    del vars(builtins)["get_ipython"]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the stages: when they end, so does this
    settings = read_at_import(os.environ)
    os.environ |= BEFORE_IMPORT | {"JPY_PARENT_PID": str(os.getpid())}  # the parent with which a kernel is to end
    import_as_kernels_do()
    gc.freeze()  # no kernel needs to look for garbage among what was imported
    become(Server(sys.argv[1], settings).serve())


if __name__ == "__main__":
    main()
