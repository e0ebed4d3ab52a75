"""The notifier ``slack``."""
