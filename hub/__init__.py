"""The hub: takes what units write down into the school's database, and gives them their galleries."""

import os

# Here, because NumPy reads it when it is first imported, and everything of the hub is imported after this file: BLAS
# threads would fight the inference threads for the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 (sets, does not read)
