"""Volunteers: mixed feed, feedback, tutorial, polls, claims, certificates, teams."""
