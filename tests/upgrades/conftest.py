from tests.upgrades.fixtures import before

__all__ = ["before"]
