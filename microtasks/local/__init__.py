"""The embedded servers and the supervisor behind `microtasks up`."""
