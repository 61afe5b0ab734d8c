"""Found by every Python that a test starts, through PYTHONPATH: it looks for garbage seldom, and not when it ends.

A kernel imports torch, transformers and datasets, 13 seconds of a slow processor; looking for garbage among what they
make is a sixth of that, and as much again at the end.
"""

import atexit
import gc

gc.set_threshold(100_000)
atexit.register(gc.freeze)
