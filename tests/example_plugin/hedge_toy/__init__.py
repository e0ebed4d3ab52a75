"""The toy exchange for hedge."""
