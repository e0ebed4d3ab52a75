"""The pure core: facts in, wishes out; no clock, no I/O, no logging."""
