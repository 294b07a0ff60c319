"""microtasks: the engine for microvolunteering."""

__version__ = "0.2.0"
