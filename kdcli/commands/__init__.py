"""The verbs: each takes a request and a progress, and returns a frozen result."""
