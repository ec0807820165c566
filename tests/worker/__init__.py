"""A service that does nothing but run tasks; test_celery.py starts it."""
