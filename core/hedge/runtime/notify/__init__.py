"""Messages to people: from journal rows to notifiers, without ever touching an order."""
