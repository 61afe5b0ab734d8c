"""For every test: shapes in annotations are checked, the network is out of reach, one thread a worker."""

import os
from pathlib import Path

from jaxtyping import install_import_hook

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # the workers share the cores
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # else tokenizers warn in each test that starts a process

# Only where shapes are: beartype cannot check the methods of other modules that return Self.
SOURCE = Path(__file__).parents[1] / "src"
SHAPED = [path for path in sorted(SOURCE.rglob("*.py")) if "from jaxtyping import" in path.read_text("utf-8")]
MODULES = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SHAPED]
install_import_hook(MODULES, "beartype.beartype")
