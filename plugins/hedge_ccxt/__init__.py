"""Any venue that ccxt knows, as a spot or a futures leg: `ccxt:okx`, `ccxt:gate`, ..."""
