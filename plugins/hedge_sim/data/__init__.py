"""The recordings that ship with the simulated venue, and the script that made them."""
