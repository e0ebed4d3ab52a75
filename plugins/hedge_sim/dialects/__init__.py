"""The simulated venue behind the wire protocols of real venues: Binance spot, USD-M, and Bybit."""
