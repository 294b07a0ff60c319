"""Marks of many people on images become objects, with their uncertainty."""
