"""Binance as a venue: spot and USD-M perpetuals over its own sockets, the cold path by its SDK."""
