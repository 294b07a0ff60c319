"""Exports: tables, snapshots, formats, packages, restoring a project from a package."""
