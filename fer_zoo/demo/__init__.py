"""A page that names expressions in the visitor's browser, and a server for it."""

from fer_zoo.demo.builder import Built, build, cached
from fer_zoo.demo.server import make_server

__all__ = ["Built", "build", "cached", "make_server"]
