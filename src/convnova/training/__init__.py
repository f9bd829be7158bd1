"""Training runs: settings, the Trainer, checkpoints, the run record."""
