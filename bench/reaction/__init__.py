"""From a spot fill on one venue's socket to the hedge on the other's: ours, a floor, and peers."""
