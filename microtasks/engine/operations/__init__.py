"""Operations: start-up, jobs, housekeeping, invariants, samples, simulation, migration, limits."""
