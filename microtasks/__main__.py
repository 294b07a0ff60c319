"""`python -m microtasks`: the same as `microtasks`."""

from microtasks.cli import main

main(prog_name="microtasks")
