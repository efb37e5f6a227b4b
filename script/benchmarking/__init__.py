"""How long the action takes, and what of that it cannot do without."""
