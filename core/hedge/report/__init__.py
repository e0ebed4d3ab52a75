"""Profit and loss from the journal alone, and why each order was sent."""
