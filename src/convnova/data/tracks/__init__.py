"""Track data sets: what many experiments say about the bins of a genome, stored once and memory-mapped."""
