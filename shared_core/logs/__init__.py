"""Who reads the logs: ``python -m shared_core.logs``."""
