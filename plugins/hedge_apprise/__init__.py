"""The notifier ``apprise``."""
