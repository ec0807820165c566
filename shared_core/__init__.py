"""The shared core of a fleet of Django services. Import its modules by name; this package imports nothing."""

__version__ = "0.1.0"
