"""Imports: uploads, tables, archives, images, previews, tasks from rows."""
