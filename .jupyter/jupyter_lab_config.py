"""JupyterLab as `make lab` starts it: this machine only, with its token, the notebooks first, no call home."""

import os
from pathlib import Path

from hiddenstates.run import ENVIRONMENT

# Kernels inherit it, as those of the pipeline do: threads that wait must not spin for ever where others use the cores.
os.environ.setdefault("GOMP_SPINCOUNT", ENVIRONMENT["GOMP_SPINCOUNT"])

c = get_config()

c.ServerApp.ip = "127.0.0.1"
c.ServerApp.root_dir = str(Path(__file__).parents[1])
c.ServerApp.allow_root = True  # containers run as root
c.LabApp.default_url = "/lab/tree/notebooks"
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.news_url = None
