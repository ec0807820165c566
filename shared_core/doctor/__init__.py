"""What is set, what answers, and what is wrong with a service: ``python -m shared_core doctor``."""
