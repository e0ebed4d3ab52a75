"""The notifier ``telegram``."""
