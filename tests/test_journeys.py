"""The demo's story and its faults, on four running services."""
