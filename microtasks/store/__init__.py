"""Everything that outlives a request: SQL, files, Redis. No rules; it flushes and never commits."""
