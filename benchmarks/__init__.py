"""Speed and memory, each a script that prints a table."""
