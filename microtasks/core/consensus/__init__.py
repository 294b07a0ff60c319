"""Consensus methods, each with its source."""
