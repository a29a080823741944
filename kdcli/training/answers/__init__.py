"""Teachers that are asked once, and what they said."""
