"""Bybit v5 for `hedge`: spot and linear perpetuals of one unified trading account."""
