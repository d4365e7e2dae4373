"""One thread a process, as in a study: OpenMP's waiting threads cost more than they bring on a busy machine."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
