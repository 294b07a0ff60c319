"""Results: consensus, contributors' records, quality, explorer, decisions, replay."""
