"""Found by every Python that a test starts, through PYTHONPATH: it collects garbage seldom.

A kernel imports torch, transformers and datasets, 13 seconds of a slow processor; looking for garbage among what they
make is a sixth of that.
"""

import gc

gc.set_threshold(100_000)
