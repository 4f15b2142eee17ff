"""Where people meet the personas: fronts, commands, and the house that keeps them running."""
