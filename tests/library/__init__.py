"""A small library, whose models are what the tests of `shared_core.models` work on."""
