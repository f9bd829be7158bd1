"""The demo: from real yeast chromosomes to a pretrained model, a classifier, and a report."""
