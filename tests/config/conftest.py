"""Fixtures that the tests of this folder share."""

from tests.config.own_modules import write

__all__ = ["write"]
