"""What models learn from: windows of a genome, and labelled sequences from files or the catalogue."""
