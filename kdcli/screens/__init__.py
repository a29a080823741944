"""What each command prints: its result as a table or JSON document, then what to type next."""
