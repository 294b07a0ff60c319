"""Repeatable measurements: each prints ratios or counts. Never part of the timed test run."""
