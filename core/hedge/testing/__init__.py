"""The conformance kit for plugin authors; it imports the model and the roles only."""
