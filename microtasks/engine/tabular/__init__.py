"""Tabular formats: CSV, JSON lines, Parquet and the like, written in vectors."""
