"""Pure rules: values in, values out. No I/O, no clock, no Flask, no SQL, no randomness of its own."""
