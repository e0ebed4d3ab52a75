"""A simulated venue that replays recorded markets: spot and perpetual, funding and faults."""
