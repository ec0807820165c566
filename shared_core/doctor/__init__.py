"""``python -m shared_core doctor``: what is set, what answers, and what is wrong with a service."""
