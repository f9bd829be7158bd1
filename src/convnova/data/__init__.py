"""What a genome is trained on: splits, windows, masking."""
