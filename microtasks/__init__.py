"""microtasks: the engine for microvolunteering."""

__version__ = "0.1.0"
