"""`python -m convnova`: what torchrun starts in each process."""

import sys

from convnova.cli import main

sys.exit(main())
