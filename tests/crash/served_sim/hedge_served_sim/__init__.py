"""A simulated venue that is served, and the plugin that trades there."""
