from tests.stack.fixtures import alias, stack

__all__ = ["alias", "stack"]
