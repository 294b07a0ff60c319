"""The use cases: one function, one transaction. The only layer that commits."""
