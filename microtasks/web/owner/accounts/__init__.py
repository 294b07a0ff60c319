"""Accounts: owners, members, tokens, mail."""
