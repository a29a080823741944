"""Before the work: what will be done, how long it takes, what would fit."""
