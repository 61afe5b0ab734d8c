"""A kernel that was forked is one as any other: its environment, its output, its interrupts, its end."""

import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from hiddenstates.pipeline import forks, warm
from hiddenstates.pipeline.kernel import own_kernel

READY = 60  # seconds that the imports may take
SOON = 30  # seconds, of a machine that has other tests to run, too

Started = tuple[KernelManager, BlockingKernelClient]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server that is ready: the one of all tests, where there is one."""
    with forks.kernels(os.environ) as found:
        address = found.get(warm.ADDRESS) or os.environ[warm.ADDRESS]
        until = time.monotonic() + READY
        while not Path(address).exists():
            assert time.monotonic() < until
            time.sleep(0.1)
        yield address


@contextmanager
def kernel(address: str, folder: Path, **more: str) -> Iterator[Started]:
    with own_kernel() as own:
        environment = os.environ | {warm.ADDRESS: address} | more
        manager, client = start_new_kernel(kernel_name=own.name, env=environment, cwd=str(folder))
        try:
            yield manager, client
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def said(client: BlockingKernelClient, code: str) -> str:
    """What the code prints, or the name of its error."""
    told = []
    client.execute_interactive(code, output_hook=told.append, timeout=SOON)
    return "".join(message["content"].get("text", message["content"].get("ename", "")) for message in told)


def has_ended(pid: int) -> bool:
    until = time.monotonic() + SOON
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


IMPORTED = "import sys; print('torch' in sys.modules, 'hiddenstates.pipeline.forks' in sys.modules)"
HERE = "import os; print(os.getcwd(), os.environ['MINE'], os.getsid(0) == os.getpid())"


def test_it_has_imported_and_takes_the_place_of_what_was_started(address: str, tmp_path: Path) -> None:
    with kernel(address, tmp_path, MINE="yes") as (_, client):
        assert said(client, IMPORTED) == "True False\n"
        assert said(client, HERE) == f"{tmp_path} yes True\n"


SETTINGS = """
import matplotlib, pandas, torch, warnings
from pandas._config.config import _registered_options
warnings.simplefilter("ignore")
print({name: pandas.get_option(name) for name in _registered_options})
print(dict(matplotlib.rcParams), matplotlib.get_backend())
print(torch.get_num_threads(), torch.get_default_dtype())
"""


def test_libraries_are_set_as_where_the_kernel_itself_imports_them(address: str, tmp_path: Path) -> None:
    """But for how pandas spells an encoding. By `max_columns` it would show tables as in a terminal."""
    with kernel(address, tmp_path) as (_, forked), kernel(str(tmp_path / "nobody"), tmp_path) as (_, alone):
        assert said(forked, SETTINGS).lower() == said(alone, SETTINGS).lower()


def test_two_know_nothing_of_one_another(address: str, tmp_path: Path) -> None:
    with kernel(address, tmp_path) as (_, one), kernel(address, tmp_path) as (_, other):
        said(one, "import sys; n = 1; sys.modules['mine'] = sys")
        assert said(other, "import sys; print('mine' in sys.modules, 'n' in globals())") == "False False\n"


@pytest.mark.parametrize(("name", "value"), [("OMP_NUM_THREADS", "3"), ("HF_HOME", "/elsewhere")])
def test_where_what_was_imported_would_have_read_another_value_it_starts_anew(
    address: str, tmp_path: Path, name: str, value: str
) -> None:
    with kernel(address, tmp_path, **{name: value}) as (_, client):
        assert said(client, IMPORTED) == "False False\n"


def test_where_nobody_listens_it_starts_anew(tmp_path: Path) -> None:
    with kernel(str(tmp_path / "nobody"), tmp_path) as (_, client):
        assert said(client, IMPORTED) == "False False\n"


def test_it_can_be_interrupted(address: str, tmp_path: Path) -> None:
    with kernel(address, tmp_path) as (manager, client):
        client.execute("import time; time.sleep(60)", stop_on_error=False)  # else the next may be dropped, too
        time.sleep(0.5)
        manager.interrupt_kernel()
        assert client.get_shell_msg(timeout=SOON)["content"]["ename"] == "KeyboardInterrupt"
        assert said(client, "print('goes on')") == "goes on\n"


def test_its_end_and_its_exit_status_are_those_of_what_was_started(address: str, tmp_path: Path) -> None:
    with kernel(address, tmp_path) as (manager, client):
        client.execute("import os; os._exit(3)")
        assert manager.provisioner.process.wait(timeout=SOON) == 3


def test_when_what_was_started_is_killed_so_is_it(address: str, tmp_path: Path) -> None:
    with kernel(address, tmp_path) as (manager, client):
        pid = int(said(client, "import os; print(os.getpid())"))
        assert pid != manager.provisioner.pid
        os.kill(manager.provisioner.pid, signal.SIGKILL)
        assert has_ended(pid)


def test_what_it_holds_at_most_is_noted(address: str, tmp_path: Path) -> None:
    with own_kernel() as own:
        environment = os.environ | {warm.ADDRESS: address}
        manager, client = start_new_kernel(kernel_name=own.name, env=environment, cwd=str(tmp_path))
        said(client, "held = bytearray(b'1') * (1000 << 20)")
        client.stop_channels()
        manager.shutdown_kernel()
        assert 1000 < own.peak_memory() < 3000


def test_only_its_user_can_enter_the_socket_s_folder(address: str) -> None:
    assert stat.S_IMODE(Path(address).parent.stat().st_mode) == 0o700


def test_where_a_server_is_named_none_is_started() -> None:
    with forks.kernels({warm.ADDRESS: "another's"}) as found:
        assert found == {}


def test_where_there_is_no_place_for_a_socket_none_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forks, "SHORT", str(tmp_path / "nowhere"))
    with forks.kernels({}) as found:
        assert found == {}


def test_a_server_that_ends_leaves_no_kernel(tmp_path: Path) -> None:
    with forks.kernels({name: value for name, value in os.environ.items() if name != warm.ADDRESS}) as found:
        while not Path(found[warm.ADDRESS]).exists():
            time.sleep(0.1)
        with kernel(found[warm.ADDRESS], tmp_path) as (_, client):
            pid = int(said(client, "import os; print(os.getpid())"))
            assert psutil.Process(pid).parent() is not None
            psutil.Process(pid).parent().terminate()
            assert has_ended(pid)
