"""One thread for all tests: toy models are slower with more, and much slower beside other work."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
