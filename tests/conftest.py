"""One thread and no GPU for all tests, unless told: toy models are slower with more threads, and much slower
beside other work; and some tests are of what a processor does."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
