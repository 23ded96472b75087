"""The package's version, in a module without imports that every other can import."""

__version__ = "0.2.0"
