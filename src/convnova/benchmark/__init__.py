"""Public suites: every task, model and seed under a named protocol, beside the published numbers."""
